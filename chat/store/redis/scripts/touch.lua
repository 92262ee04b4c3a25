-- ARGV: ids. Marks identities as used.
local at = now()
for i = 1, #ARGV do
  call('ZADD', IDS, 'XX', fmt(at), ARGV[i])
  local made = call('HGET', P..'id:'..ARGV[i], 'made')
  -- Nobody knows when an identity of an older version was made.
  if made then note_standing(ARGV[i], at - made, at) end
end
