-- ARGV: room, seq, event, deleted, told, fresh. Has "deleted" read in the place of the
-- event with that seq, if that is what stands there, and tells it to all. Entries of a
-- stream cannot be changed: `wipe` copies it without the text, a slice at a time.
local name, seq = ARGV[1], tonumber(ARGV[2])
local room = room_of(name, ARGV[6])
if event_at(room, seq) ~= ARGV[3] then return 0 end
if not has_blanks(room) then call('RPUSH', WIPES, room.id..' '..name) end
call('ZADD', P..'blank:'..room.id, seq, ARGV[4])
check_copy(room)
local copied = call('XREVRANGE', P..'copy:'..room.id, '+', '-', 'COUNT', 1)[1]
if copied and seq <= tonumber(string.match(copied[1], '^%d+')) then
  call('ZADD', P..'late:'..room.id, seq, ARGV[4])
end
local GONE, gone = P..'gone:'..name, fmt(room.seq)..' '..ARGV[5]
call('RPUSH', GONE, gone)
call('LTRIM', GONE, -MAX_DELETIONS, -1)
call('HSET', P..'room:'..name, 'told', gone)
publish(name, room.epoch, { ARGV[5] })
return 1
