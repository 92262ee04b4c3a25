-- ARGV: room, seq, keep, count, bytes, epoch, fresh. Returns the turns with the
-- messages after seq; nothing if some of those are gone.
local room, seq = room_of(ARGV[1], ARGV[7]), tonumber(ARGV[2])
local is_other = ARGV[6] ~= '' and ARGV[6] ~= room.epoch
if is_other or seq > room.seq or seq < room.seq - ARGV[3] then return false end
local count, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local found, from = {}, seq + 1
while from <= room.seq and count > 0 and bytes > 0 do
  local page = call('XRANGE', P..'log:'..ARGV[1], fmt(from)..'-0', '+',
    'COUNT', 16)
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    local fields, last = fields_of(entry, room)
    found[#found + 1] = fmt(last)
    found[#found + 1] = fields.e
    count = count - math.min(fields.n, last - seq)
    -- The first turn may begin before seq: better one turn too many.
    if last - fields.n >= seq then bytes = bytes - #fields.e + fields.n end
    from = last + 1
    if count <= 0 or bytes <= 0 then break end
  end
end
return (#found > 0 or seq == room.seq) and found
