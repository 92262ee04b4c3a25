-- ARGV: id, name, folded, hash, node, fullInMs, look. Makes an identity. Returns
-- nothing if somebody has the name or one that looks like it, else the generation
-- and the clock, which counts identities too: a server that knows this clock
-- notices if Redis loses the identity.
local is_taken = call('HEXISTS', FOLDED, ARGV[3]) == 1 or claimed(ARGV[3])
if is_taken or looking(ARGV[7]) then return {} end
local generation = fmt(next_generation())
local at = now()
call('HSET', P..'id:'..ARGV[1], 'name', ARGV[2], 'folded', ARGV[3],
  'hash', ARGV[4], 'hold', generation, 'node', ARGV[5],
  'made', fmt(at), 'full', fmt(at + ARGV[6]))
call('HSET', FOLDED, ARGV[3], ARGV[1])
note_look(ARGV[1], ARGV[7])
call('ZADD', IDS, fmt(at), ARGV[1])
note_standing(ARGV[1], 0, at)
return { generation, fmt(tick()) }
