-- ARGV: room, seq, keep, epoch, fresh. The event with that seq as it stands there, or ''.
local room, seq = room_of(ARGV[1], ARGV[5]), tonumber(ARGV[2])
if ARGV[4] ~= room.epoch or seq <= room.seq - ARGV[3] then return '' end
return event_at(room, seq)
