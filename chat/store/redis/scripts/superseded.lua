-- ARGV: node, and pairs of id and generation. Returns the ids that somebody
-- else holds by now. If a restart has lost the later holder, the server keeps
-- the id.
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
