-- ARGV: folded, node, look. Returns 0 if somebody else has the name, or one that
-- looks like it.
if call('HEXISTS', FOLDED, ARGV[1]) == 1 or looking(ARGV[3]) then return 0 end
local is = claimed(ARGV[1])
local holder = is and (string.match(is, '^~%d+ (.*)$') or is)
if holder and holder ~= ARGV[2] then return 0 end
call('HSET', CLAIMS, ARGV[1], ARGV[2])
return 1
