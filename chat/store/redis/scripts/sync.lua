-- ARGV: room, node, fresh, joinHead, joinTail, leaveHead, leaveTail, members as
-- name and generation. Makes these members all that the server has in the room,
-- and returns the members of all servers.
local name, node = ARGV[1], ARGV[2]
local room, HERE = room_of(name, ARGV[3]), P..'here:'..name
local wanted, out = {}, {}
for i = 8, #ARGV, 2 do wanted[ARGV[i]] = ARGV[i + 1] end
local size = call('HLEN', HERE)
local all = call('HGETALL', HERE)
for i = 1, #all, 2 do
  local who, is = all[i], all[i + 1]
  local generation, holder = string.match(is, '^(%d+) (.*)$')
  if holder == node and not wanted[who] then
    call('HDEL', HERE, who)
    size = size - 1
    out[#out + 1] = ARGV[6]..who..ARGV[7]..size..'}'
  end
end
for who, generation in pairs(wanted) do
  local is = call('HGET', HERE, who)
  -- If neither has a generation, the one in Redis came later than this one.
  local is_lost = is and generation == '0' or is_superseded(is, generation)
  if not is_lost then
    call('HSET', HERE, who, generation..' '..node)
    if not is then
      size = size + 1
      out[#out + 1] = ARGV[4]..who..ARGV[5]..size..'}'
    end
  end
end
call(ARGV[8] and 'SADD' or 'SREM', P..'rooms:'..node, name)
local clock = #out > 0 and publish(name, room.epoch, out) or
  call('HGET', LIFE, 'clock') or 0
return { room.epoch, fmt(room.seq), fmt(clock), call('HKEYS', HERE) }
