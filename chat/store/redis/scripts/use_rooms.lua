-- ARGV: rooms. Marks them as used.
local at = fmt(now())
for i = 1, #ARGV do call('ZADD', ROOMS, 'XX', at, ARGV[i]) end
