-- ARGV: id, name, folded, generation, restMs. Returns 0 if somebody else has
-- the name, or if the identity has another generation by now. If its holder is
-- present, the old name rests until the room was told; otherwise another server
-- could publish the name's next holder earlier.
local key = P..'id:'..ARGV[1]
local is = call('HGET', key, 'hold')
if ARGV[4] ~= '0' and is ~= ARGV[4] then return 0 end
local holder, old = call('HGET', FOLDED, ARGV[3]), call('HGET', key, 'folded')
local claim = claimed(ARGV[3])
local is_own = claim and string.match(claim, '^~%d+ (.*)$') == ARGV[1]
if holder and holder ~= ARGV[1] or not old or claim and not is_own then
  return 0
end
local alike = looking(ARGV[6])
if alike and alike ~= ARGV[1] then return 0 end
if ARGV[4] ~= '0' then
  call('HSET', CLAIMS, old, '~'..fmt(now() + ARGV[5])..' '..ARGV[1])
end
call('HDEL', CLAIMS, ARGV[3])
call('HDEL', FOLDED, old)
call('HSET', FOLDED, ARGV[3], ARGV[1])
call('HSET', key, 'name', ARGV[2], 'folded', ARGV[3])
note_look(ARGV[1], ARGV[6])
return 1
