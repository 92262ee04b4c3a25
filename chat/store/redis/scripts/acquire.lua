-- ARGV: id, node, name, look. Takes an identity for this server, and supersedes its holder
-- on another one. Returns the new generation, the name, and in how many ms the
-- burst is full; nothing if there is no such identity.
local key = P..'id:'..ARGV[1]
if call('EXISTS', key) == 0 then return {} end
local is = call('HMGET', key, 'hold', 'node', 'name', 'full')
local generation, before = fmt(next_generation(is[1])), is[2]
call('HSET', key, 'hold', generation, 'node', ARGV[2])
if before and before ~= ARGV[2] then
  call('PUBLISH', C..'node:'..before, 'way '..ARGV[1]..' '..generation)
end
-- A server of an older version may have made it, or given it another name.
if is[3] == ARGV[3] then note_look(ARGV[1], ARGV[4]) end
return { generation, is[3], fmt(math.max(0, (is[4] or 0) - now())) }
