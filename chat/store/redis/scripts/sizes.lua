-- ARGV: cursor. Returns rooms, each with its newest seq and its last use.
local page = call('ZSCAN', ROOMS, ARGV[1], 'COUNT', 500)
local found = {}
for i = 1, #page[2], 2 do
  found[#found + 1] = page[2][i]
  found[#found + 1] = call('HGET', P..'room:'..page[2][i], 'seq') or '0'
  found[#found + 1] = page[2][i + 1]
end
return { page[1], found }
