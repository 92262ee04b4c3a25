-- ARGV: rooms, each with when it was used; not if that was again meanwhile, or
-- someone is there. They begin again at 1, which must not pass for their old
-- life: so the epoch of all rooms in which nothing was said is another one, but for
-- those in use.
local count = 0
local function hold_epochs()
  local at = fmt(now())
  for _, node in ipairs(call('ZRANGE', NODES, 0, -1)) do
    for _, name in ipairs(call('SMEMBERS', P..'rooms:'..node)) do
      if call('EXISTS', P..'here:'..name) == 1 then hold_epoch(name, at) end
    end
  end
end
for i = 1, #ARGV, 2 do
  local name, used = ARGV[i], ARGV[i + 1]
  local is_same = call('ZSCORE', ROOMS, name) == used
  if is_same and call('EXISTS', P..'here:'..name) == 0 then
    if count == 0 then hold_epochs() end
    local id = call('HGET', P..'room:'..name, 'id')
    if id then call('DEL', P..'blank:'..id, P..'copy:'..id, P..'late:'..id) end
    call('DEL', P..'log:'..name, P..'room:'..name, P..'gone:'..name)
    call('ZREM', ROOMS, name)
    call('HINCRBY', LIFE, 'births', 1)
    count = count + 1
  end
end
return count
