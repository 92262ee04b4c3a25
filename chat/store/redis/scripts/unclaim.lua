-- ARGV: folded, node, restMs.
if call('HGET', CLAIMS, ARGV[1]) ~= ARGV[2] then return end
if ARGV[3] == '0' then
  call('HDEL', CLAIMS, ARGV[1])
else
  -- Nobody's name, not even this server's: only names from reap return.
  call('HSET', CLAIMS, ARGV[1], '~'..fmt(now() + ARGV[3])..' -')
end
