-- ARGV: node, leaseMs, fresh. Renews a lease. Returns whether it had run out so
-- long ago that others took this server for dead, and which other servers are
-- dead. Beats are a third of a lease apart, so a step of half a lease kills no
-- server.
local at = now()
call('HSETNX', LIFE, 'counted', fmt(at))
call('HSET', LIFE, 'lived', fmt(at), 'seen', fmt(time()), 'step', math.floor(ARGV[2] / 2))
local had = call('ZSCORE', NODES, ARGV[1])
call('ZADD', NODES, at + ARGV[2], ARGV[1])
local dead = call('ZRANGEBYSCORE', NODES, '-inf', '('..fmt(at), 'LIMIT', 0, 8)
return { life_epoch(ARGV[3]), call('HGET', LIFE, 'clock') or '0', fmt(time()),
  had and tonumber(had) > 0 and '1' or '0', unpack(dead) }
