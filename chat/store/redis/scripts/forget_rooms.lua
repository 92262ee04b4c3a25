-- ARGV: rooms, each with the time of its last use. A room that was used again
-- meanwhile, or has people in it, stays. Forgotten rooms begin again at 1,
-- which must not pass for their old life: so all rooms without a message get
-- another epoch.
local count = 0
for i = 1, #ARGV, 2 do
  local name, used = ARGV[i], ARGV[i + 1]
  local is_same = call('ZSCORE', ROOMS, name) == used
  if is_same and call('EXISTS', P..'here:'..name) == 0 then
    call('DEL', P..'log:'..name, P..'room:'..name, P..'gone:'..name)
    call('ZREM', ROOMS, name)
    call('HINCRBY', LIFE, 'births', 1)
    count = count + 1
  end
end
return count
