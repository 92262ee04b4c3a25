-- ARGV: room, seq, keep, count, bytes, epoch, fresh. Returns the newest seq,
-- and the turns with messages below seq, the newest first; nothing if the epoch
-- is another one.
local room, seq = room_of(ARGV[1], ARGV[7]), tonumber(ARGV[2])
if ARGV[6] ~= '' and ARGV[6] ~= room.epoch then return {} end
local floor = math.max(0, room.seq - ARGV[3])
local LOG = P..'log:'..ARGV[1]
local count, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local found = { fmt(room.seq) }
-- The turn that holds seq ends at or above it, so begin there.
local holder = seq <= room.seq and
  call('XRANGE', LOG, fmt(math.max(seq, 0))..'-0', '+', 'COUNT', 1)[1]
local from = holder and holder[1] or '+'
while from and count > 0 and bytes > 0 do
  local page = call('XREVRANGE', LOG, from, fmt(floor)..'-0', 'COUNT', 16)
  from = #page == 16 and '('..page[16][1]
  for _, entry in ipairs(page) do
    local fields, last = fields_of(entry, room)
    found[#found + 1] = fmt(last)
    found[#found + 1] = fields.e
    count = count - fields.n + math.max(0, last - seq + 1)
    -- The turn that holds seq may have no message below it.
    if last < seq then bytes = bytes - #fields.e end
    if count <= 0 or bytes <= 0 then break end
  end
end
return found
