-- ARGV: node, leaveHead, leaveTail, restMs, fresh, isForced. Takes a dead
-- server's members out of some of its rooms; at last takes its names. Returns 1
-- when all is done, or if the server turns out to be alive.
local node = ARGV[1]
if ARGV[6] ~= '1' and is_alive(node) then return 1 end
call('ZADD', NODES, 'XX', 0, node)
local mine = P..'rooms:'..node
for i = 1, 50 do
  local name = call('SPOP', mine)
  if not name then break end
  local HERE, out = P..'here:'..name, {}
  local all, size = call('HGETALL', HERE), call('HLEN', HERE)
  for i = 1, #all, 2 do
    if string.match(all[i + 1], '^%d+ (.*)$') == node then
      call('HDEL', HERE, all[i])
      size = size - 1
      out[#out + 1] = ARGV[2]..all[i]..ARGV[3]..size..'}'
    end
  end
  if #out > 0 then publish(name, room_of(name, ARGV[5]).epoch, out) end
end
if call('EXISTS', mine) == 1 then return 0 end
local claims = call('HGETALL', CLAIMS)
for i = 1, #claims, 2 do
  if claims[i + 1] == node then
    if string.match(claims[i], '%-%d+$') then
      call('HDEL', CLAIMS, claims[i])
    else
      call('HSET', CLAIMS, claims[i], '~'..fmt(now() + ARGV[4])..' '..node)
    end
  end
end
call('ZREM', NODES, node)
return 1
