-- ARGV: folded, node, restMs.
if call('HGET', CLAIMS, ARGV[1]) ~= ARGV[2] then return end
if ARGV[3] == '0' then
  call('HDEL', CLAIMS, ARGV[1])
else
  -- Nobody's, also not this server's: only what `reap` takes can be claimed back.
  call('HSET', CLAIMS, ARGV[1], '~'..fmt(now() + ARGV[3])..' -')
end
