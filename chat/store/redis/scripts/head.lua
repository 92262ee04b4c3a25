-- ARGV: room, fresh.
local room = room_of(ARGV[1], ARGV[2])
return { room.epoch, fmt(room.seq) }
