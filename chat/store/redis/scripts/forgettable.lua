-- ARGV: maxIdentities. Some rooms and identities that may be forgotten,
-- each with the time that it was used, and how many rooms there are too many. Times
-- from before the data had a clock of its own may be wrong, and count from there.
-- Of too many identities those go first that stand lowest.
local oldest = now() - FORGET_AFTER_MS
local is_counted = oldest >= tonumber(call('HGET', LIFE, 'counted') or math.huge)
local function old(set)
  if not is_counted then return {} end
  return call('ZRANGE', set, '-inf', fmt(oldest), 'BYSCORE', 'LIMIT', 0, 200,
    'WITHSCORES')
end
local rooms, ids = old(ROOMS), old(IDS)
local surplus = call('ZCARD', IDS) - ARGV[1]
-- Some of those that nobody is using, from the first: whoever is used may stand
-- low, and be before all others.
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
-- What an older version made, or noted of what it made.
if #ids == 0 and surplus > 0 then take_from(IDS) end
-- Only an older version wrote it.
call('DEL', P..'silent')
return { rooms, ids, call('ZCARD', ROOMS) - MAX_ROOMS_KEPT }
