-- ARGV: cursor. Rooms in which nobody is, each with its newest seq, and when it was made
-- ('' if that is not known) and used.
local page = call('ZSCAN', ROOMS, ARGV[1], 'COUNT', 500)
local found = {}
for i = 1, #page[2], 2 do
  local name = page[2][i]
  if call('EXISTS', P..'here:'..name) == 0 then
    local is = call('HMGET', P..'room:'..name, 'seq', 'made')
    found[#found + 1] = name
    found[#found + 1] = is[1] or '0'
    found[#found + 1] = is[2] or ''
    found[#found + 1] = page[2][i + 1]
  end
end
return { page[1], found }
