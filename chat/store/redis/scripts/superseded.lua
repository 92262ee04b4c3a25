-- ARGV: node, and pairs of id and generation. Which ids somebody else holds by now;
-- not those of which a restart has lost who came last.
local gone = {}
for i = 2, #ARGV, 2 do
  local key = P..'id:'..ARGV[i]
  local is, mine = tonumber(call('HGET', key, 'hold') or nil), ARGV[i + 1]
  if is and is <= tonumber(mine) then
    call('HSET', key, 'node', ARGV[1], 'hold', mine)
  elseif is then
    gone[#gone + 1] = ARGV[i]
  end
end
return gone
