-- ARGV: id, node, generation.
local key = P..'id:'..ARGV[1]
local is = call('HMGET', key, 'node', 'hold')
if is[1] == ARGV[2] and is[2] == ARGV[3] then call('HDEL', key, 'node') end
