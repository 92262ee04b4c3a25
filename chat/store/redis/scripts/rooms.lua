-- ARGV: node, cursor. Returns rooms in which a server may have members, and how
-- many people each has on all servers.
local page = call('SSCAN', P..'rooms:'..ARGV[1], ARGV[2], 'COUNT', 500)
local found = {}
for _, name in ipairs(page[2]) do
  found[#found + 1] = name
  found[#found + 1] = fmt(call('HLEN', P..'here:'..name))
end
return { page[1], found }
