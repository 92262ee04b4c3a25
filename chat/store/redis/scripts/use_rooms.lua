-- ARGV: rooms. Marks them as used.
local at = fmt(now())
for i = 1, #ARGV do
  hold_epoch(ARGV[i], at)
  call('ZADD', ROOMS, 'XX', at, ARGV[i])
end
