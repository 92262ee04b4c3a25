-- ARGV: room, node, keep, fresh, token, deadline, isRetry, epoch, messageMs,
-- entries. An empty epoch stands for any. A retry of a turn that was stored
-- gets the same answer. In messageMs the burst of an identity refills by one
-- message. An entry is one of these; "folded" is the folded old name:
--   m text identity id                                          a message
--   j name generation text                                      a join
--   l name generation text                                      a leave
--   r before name generation folded text leaveHead leaveTail    a rename
--   p text                                                      not stored
local name, node, keep, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[5]
local room = room_of(name, ARGV[4])
local LOG, HERE = P..'log:'..name, P..'here:'..name

local function answer(before, repeats, clock)
  local told = {}
  for index, seq in string.gmatch(repeats, '(%d+) (%d+)') do
    told[#told + 1] = index
    told[#told + 1] = seq
    told[#told + 1] = event_at(room, tonumber(seq))
  end
  return { room.epoch, clock, fmt(before), told }
end

-- The authors belong to a lost life, with all that was known of it.
if ARGV[8] ~= '' and ARGV[8] ~= room.epoch then
  return redis.error_reply('LOST the history was lost and began again')
end

if ARGV[7] == '1' then
  local newest = call('XREVRANGE', LOG, '+', '-', 'COUNT', 10000)
  for _, entry in ipairs(newest) do
    local fields, last = fields_of(entry)
    if fields.t == token then
      return answer(last - fields.n, fields.r, call('HGET', LIFE, 'clock'))
    end
  end
end

if time() > tonumber(ARGV[6]) then
  return redis.error_reply('LATE this was to be stored earlier')
end

local now_ms
-- The seq of an id: seq, unless the id is remembered with another one.
local function remember(identity, id, seq)
  local key, pair = P..'id:'..identity, room.id..' '..id
  local is = call('HMGET', key, pair, 'full')
  if is[1] then return tonumber(is[1]) end
  if call('EXISTS', key) == 0 then return seq end
  local nth = call('HINCRBY', key, '#', 1)
  local standing = nth == 1 and tonumber(call('ZSCORE', STANDING, identity) or 1)
  if standing and standing < 1 then call('ZINCRBY', STANDING, 1, identity) end
  local slot = '#'..(nth % REMEMBERED_IDS)
  local oldest = call('HGET', key, slot)
  if oldest then call('HDEL', key, oldest) end
  now_ms = now_ms or now()
  local full = math.max(now_ms, tonumber(is[2] or 0)) + ARGV[9]
  call('HSET', key, slot, pair, pair, seq, 'full', string.format('%.3f', full))
  return seq
end

local out, events, repeats = {}, {}, {}
local last, index, size = room.seq, 0, call('HLEN', HERE)
local is_here = false
local at = 10
while ARGV[at] do
  local kind = ARGV[at]
  if kind == 'm' then
    local text, identity, id = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if not room.id then
      room.id = call('HINCRBY', LIFE, 'rooms', 1)
      call('HSET', P..'room:'..name, 'id', room.id, 'births', room.births)
      call('HSETNX', P..'room:'..name, 'made', fmt(now()))
    end
    local seq = last + 1
    if id ~= '' then seq = remember(identity, id, seq) end
    if seq == last + 1 then
      last = seq
      local event = '{"type":"message","seq":'..fmt(seq)..','..text
      out[#out + 1] = event
      events[#events + 1] = event
    else
      repeats[#repeats + 1] = index..' '..fmt(seq)
    end
    index = index + 1
    at = at + 4
  elseif kind == 'j' then
    local who, generation, text = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local is = call('HGET', HERE, who)
    if not is then
      size = size + 1
      out[#out + 1] = text..size..'}'
    end
    if not is_superseded(is, generation) then
      call('HSET', HERE, who, generation..' '..node)
      is_here = true
    end
    at = at + 4
  elseif kind == 'l' then
    local who, generation, text = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if call('HGET', HERE, who) == generation..' '..node then
      call('HDEL', HERE, who)
      size = size - 1
      out[#out + 1] = text..size..'}'
    end
    at = at + 4
  elseif kind == 'r' then
    local before, who, generation = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if call('HGET', HERE, before) == generation..' '..node then
      call('HDEL', HERE, before)
      if resting(ARGV[at + 4]) then call('HDEL', CLAIMS, ARGV[at + 4]) end
      local is = call('HGET', HERE, who)
      local may = not is_superseded(is, generation)
      if is then
        -- The later holder of the key came before this rename was told.
        size = size - 1
        out[#out + 1] = ARGV[at + 6]..(may and who or before)..
          ARGV[at + 7]..size..'}'
      end
      if may then
        call('HSET', HERE, who, generation..' '..node)
        is_here = true
        out[#out + 1] = ARGV[at + 5]
      end
    end
    at = at + 8
  else
    out[#out + 1] = ARGV[at + 1]
    at = at + 2
  end
end
if is_here then call('SADD', P..'rooms:'..node, name) end

repeats = table.concat(repeats, ' ')
if last > room.seq then
  local oldest = math.max(0, last - keep + 1)
  call('XADD', LOG, 'MINID', fmt(oldest)..'-0', fmt(last)..'-0',
    'e', table.concat(events, '\n'), 'n', #events, 't', token, 'r', repeats)
  call('HSET', P..'room:'..name, 'seq', fmt(last))
  call('ZADD', ROOMS, fmt(now()), name)
end
local clock = #out > 0 and publish(name, room.epoch, out) or
  call('HGET', LIFE, 'clock') or 0
return answer(room.seq, repeats, fmt(clock))
