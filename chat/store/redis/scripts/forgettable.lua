-- ARGV: maxIdentities. Returns some rooms and some identities that may be
-- forgotten, each with the time of its last use, and the number of surplus
-- rooms. Times from before the data had a clock of its own may be wrong; disuse
-- counts from when that began. Of surplus identities those that stand lowest
-- come first.
local oldest = now() - FORGET_AFTER_MS
local is_counted = oldest >= tonumber(call('HGET', LIFE, 'counted') or math.huge)
local function old(set)
  if not is_counted then return {} end
  return call('ZRANGE', set, '-inf', fmt(oldest), 'BYSCORE', 'LIMIT', 0, 200,
    'WITHSCORES')
end
local rooms, ids = old(ROOMS), old(IDS)
local surplus = call('ZCARD', IDS) - ARGV[1]
-- Some identities that nobody is using, from the lowest. An identity in use may
-- stand low, so one may come before all others.
local function take_from(set)
  local most, from = 2 * math.min(surplus, 200), 0
  while #ids < most do
    local found = call('ZRANGE', set, from, from + 199)
    if #found == 0 then return end
    for i = 1, #found do
      local node = call('HGET', P..'id:'..found[i], 'node')
      if #ids < most and not (node and is_alive(node)) then
        ids[#ids + 1] = found[i]
        ids[#ids + 1] = call('ZSCORE', IDS, found[i]) or ''
      end
    end
    from = from + 200
  end
end
if #ids == 0 and surplus > 0 then take_from(STANDING) end
-- Identities that an older version made, and that have no standing.
if #ids == 0 and surplus > 0 then take_from(IDS) end
-- Only older versions wrote this key.
call('DEL', P..'silent')
return { rooms, ids, call('ZCARD', ROOMS) - MAX_ROOMS_KEPT }
