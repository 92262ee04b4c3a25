-- ARGV: ids, each with the time of its last use. An identity that was used
-- again meanwhile stays, unless the time is empty.
local count = 0
for i = 1, #ARGV, 2 do
  -- An identity that a server of an older version forgot still has a standing.
  if not call('ZSCORE', IDS, ARGV[i]) then call('ZREM', STANDING, ARGV[i]) end
  if ARGV[i + 1] == '' or call('ZSCORE', IDS, ARGV[i]) == ARGV[i + 1] then
    local key = P..'id:'..ARGV[i]
    local folded, look = unpack(call('HMGET', key, 'folded', 'look'))
    if folded then call('HDEL', FOLDED, folded) end
    if look and call('HGET', LOOKS, look) == ARGV[i] then
      call('HDEL', LOOKS, look)
    end
    call('DEL', key)
    call('ZREM', IDS, ARGV[i])
    call('ZREM', STANDING, ARGV[i])
    count = count + 1
  end
end
return count
