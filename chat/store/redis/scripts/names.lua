-- ARGV: cursor, version. Identities with their names, some at a time; none once all
-- looks are noted by that version of Unicode.
if call('HGET', LIFE, 'looks') == ARGV[2] then return { '0', {} } end
local page = call('ZSCAN', IDS, ARGV[1], 'COUNT', 500)
local found = {}
for i = 1, #page[2], 2 do
  local name = call('HGET', P..'id:'..page[2][i], 'name')
  if name then
    found[#found + 1] = page[2][i]
    found[#found + 1] = name
  end
end
return { page[1], found }
