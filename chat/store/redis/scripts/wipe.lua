-- ARGV: fresh. Removes a slice of the texts of deleted messages from the memory of
-- Redis: the streams of rooms are copied without them, one after the other, and then
-- the copy takes the place of the stream. There is one slice in WIPE_EVERY_MS for all
-- servers together, so messages hardly wait, however much is deleted. Returns in how
-- many ms the next slice is due; 0 if there is nothing to wipe.
local first = call('LINDEX', WIPES, 0)
if not first then return 0 end
local at = now()
local due = (call('HGET', LIFE, 'wiped') or 0) + WIPE_EVERY_MS - at
if due > 0 and due <= WIPE_EVERY_MS then return due end
call('HSET', LIFE, 'wiped', fmt(at))

local id, name = string.match(first, '^(%d+) (.*)$')
local BLANK, COPY, LATE = P..'blank:'..id, P..'copy:'..id, P..'late:'..id
local room, LOG = room_of(name, ARGV[1]), P..'log:'..name
if room.id ~= id then
  -- The room was forgotten, perhaps by a server that knows nothing of this.
  call('DEL', BLANK, COPY, LATE)
  call('LPOP', WIPES)
  return WIPE_EVERY_MS
end

check_copy(room)
local copied = call('XREVRANGE', COPY, '+', '-', 'COUNT', 1)[1]
local from = copied and '('..copied[1] or '-'
local count, bytes = WIPE_ENTRIES, WIPE_BYTES
while from and count > 0 and bytes > 0 do
  local page = call('XRANGE', LOG, from, '+', 'COUNT', 16)
  from = #page == 16 and '('..page[16][1]
  for _, entry in ipairs(page) do
    local fields = fields_of(entry, room)
    call('XADD', COPY, entry[1], 'e', fields.e, 'n', fields.n, 't', fields.t,
      'r', fields.r)
    count = count - 1
    bytes = bytes - #fields.e
  end
end
if from then return WIPE_EVERY_MS end

if call('EXISTS', COPY) == 1 then
  call('UNLINK', LOG)
  call('RENAME', COPY, LOG)
end
call('DEL', BLANK)
call('LPOP', WIPES)
if call('EXISTS', LATE) == 1 then
  call('RENAME', LATE, BLANK)
  call('RPUSH', WIPES, first)
end
return WIPE_EVERY_MS
