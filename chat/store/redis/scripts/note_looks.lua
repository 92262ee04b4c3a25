-- ARGV: version, and identities as id, name and look. Notes how their names look, and,
-- if a version is given, that this was done for all.
for i = 2, #ARGV, 3 do
  if call('HGET', P..'id:'..ARGV[i], 'name') == ARGV[i + 1] then
    note_look(ARGV[i], ARGV[i + 2])
  end
end
if ARGV[1] ~= '' then call('HSET', LIFE, 'looks', ARGV[1]) end
