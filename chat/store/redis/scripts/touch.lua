-- ARGV: ids. They count as used.
local at = now()
for i = 1, #ARGV do
  call('ZADD', IDS, 'XX', fmt(at), ARGV[i])
  local made = call('HGET', P..'id:'..ARGV[i], 'made')
  -- Of those that an older version made nobody knows since when they are used.
  if made then note_standing(ARGV[i], at - made, at) end
end
