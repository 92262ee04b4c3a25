// Owns what runs inside Redis, in Lua: each script is one step that no other
// server's step can come between. Never decides anything twice: what a script
// answers is what is stored.
// Invariant: a script that has written something does not fail after it.
import { FORGET_AFTER_MS, MAX_ROOMS_KEPT, REMEMBERED_IDS } from "./log.ts";

// Keys, all with the prefix:
//   life         epoch (the life of this data), births (counts up when a room
//                is forgotten), clock (counts publishes and new
//                identities), rooms (counts rooms), run, before, began,
//                renewed (see `begin`)
//   room:NAME    id, births, seq: of a room in which something was said
//   log:NAME     its stream, an entry a turn: e(vents), n(umber of them),
//                t(oken of the turn), r(epeats); the id is the last seq
//   rooms        rooms by when they were used
//   here:NAME    who is in the room: name to "hold node"
//   id:ID        an identity: name, folded, hash, hold, node, and the ids of
//                its newest messages: "ROOM ID" to seq; #0… are their order
//   ids          identities by when they were used
//   folded       identities by folded name
//   claims       names of those without an identity: folded to node, or
//                "~until node" while it rests, "~until id" if it was that
//                identity's
//   nodes        servers by when their lease ends; 0 once it was seen to be over
//   rooms:NODE   rooms in which it may have members
//   link:LINK    which of a server's connections is the newest
// and the channels turn:NAME and node:NODE, with a prefix of their own (C).

/** Longer than what was sent over a lost connection can be on its way. */
const LATE_MS = 600_000;

/** Processes of which it is known how far they came. */
const MAX_ENDS = 1_000;

const common = `
local P = 'partyline:'
local LIFE, NODES, CLAIMS, FOLDED, IDS, ROOMS, ENDS = P..'life', P..'nodes',
  P..'claims', P..'folded', P..'ids', P..'rooms', P..'ends'
local call = redis.call

-- The last of ARGV says over which connection this came. What was sent over an
-- earlier one may arrive after all, and must do nothing any more.
local link, nth = string.match(table.remove(ARGV), '^(%S+) (%d+)$')
nth = tonumber(nth)
if tonumber(call('GET', P..'link:'..link) or 0) > nth then
  return redis.error_reply('LATE this came over a lost connection')
end

local fmt = function(n) return string.format('%d', n) end

local function now()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- The epoch of this data; a new one, which is given, if there is no data.
local function life_epoch(fresh)
  local epoch = call('HGET', LIFE, 'epoch')
  if epoch then return epoch end
  call('HSET', LIFE, 'epoch', fresh)
  return fresh
end

local function room_of(name, fresh)
  local r = call('HMGET', P..'room:'..name, 'id', 'births', 'seq')
  local births = r[2] or call('HGET', LIFE, 'births') or '0'
  local epoch = life_epoch(fresh)..'.'..births
  return { id = r[1], births = births, epoch = epoch, seq = tonumber(r[3] or 0) }
end

local function tick() return call('HINCRBY', LIFE, 'clock', 1) end

local function publish(name, epoch, events)
  local clock = tick()
  call('PUBLISH', C..'turn:'..name,
    epoch..' '..fmt(clock)..'\\n'..table.concat(events, '\\n'))
  return clock
end

local function is_alive(node)
  local untilMs = call('ZSCORE', NODES, node)
  return untilMs and tonumber(untilMs) > now()
end

-- Whether a place in a room is somebody's who came later than that hold.
local function is_passed(is, hold)
  return is and tonumber(string.match(is, '^%d+')) > tonumber(hold)
end

-- A new hold of an identity that had the one before. By the clock, so that it is
-- higher than all before, also those of whoever else had the same name, and
-- those that were lost.
local function next_hold(before)
  return math.max(now(), tonumber(before or 0) + 1)
end

-- Until when a name rests, if it does.
local function resting(folded)
  local claim = call('HGET', CLAIMS, folded)
  return claim and string.match(claim, '^~(%d+)'), claim
end

-- Who holds a name without an identity, or whose rest keeps it.
local function claimed(folded)
  local rest, claim = resting(folded)
  if rest and tonumber(rest) <= now() then
    call('HDEL', CLAIMS, folded)
    return false
  end
  return claim
end

-- The fields of an entry of a stream.
local function fields_of(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  return fields, tonumber(string.match(entry[1], '^%d+'))
end

-- The event with that seq, or '' if it is no longer there.
local function event_at(log, seq)
  local entry = call('XRANGE', log, fmt(seq)..'-0', '+', 'COUNT', 1)[1]
  if not entry then return '' end
  local fields, last = fields_of(entry)
  local skip = seq - (last - fields.n + 1)
  if skip < 0 then return '' end
  for event in string.gmatch(fields.e, '[^\\n]+') do
    if skip == 0 then return event end
    skip = skip - 1
  end
  return ''
end
`;

const begin = `
-- ARGV: run, seenRun, seenClock, fresh. A server that has just connected says
-- which process it saw last, and how far that had come. How far each process
-- came is in the data; a server that saw more, or a process that is not there,
-- saw what a restart or a fail-over lost. Then all rooms get a new epoch, once
-- for a process.
local run, seen_run, seen_clock, fresh = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
call('SET', P..'link:'..link, nth, 'PX', ${LATE_MS})
local life = call('HMGET', LIFE, 'epoch', 'run', 'renewed', 'clock')
local clock = life[4] or '0'
if not life[1] then
  call('HSET', LIFE, 'epoch', fresh, 'run', run, 'renewed', run)
else
  if life[2] ~= run then
    call('HSET', LIFE, 'run', run)
    if call('HLEN', ENDS) >= ${MAX_ENDS} then call('DEL', ENDS) end
    call('HSET', ENDS, life[2] or '', clock)
  end
  local ended = call('HGET', ENDS, seen_run)
  local is_lost = seen_run ~= '' and seen_run ~= run and life[3] ~= run and
    (not ended or tonumber(seen_clock) > tonumber(ended))
  if is_lost then call('HSET', LIFE, 'epoch', fresh, 'renewed', run) end
end
return { call('HGET', LIFE, 'epoch'), clock, fmt(now()) }
`;

const beat = `
-- ARGV: node, leaseMs, fresh. Renews a lease; tells whether it had run out so
-- long ago that others took this server for dead, and who else is dead.
local at = now()
local had = call('ZSCORE', NODES, ARGV[1])
call('ZADD', NODES, at + ARGV[2], ARGV[1])
local dead = call('ZRANGEBYSCORE', NODES, '-inf', '('..fmt(at), 'LIMIT', 0, 8)
return { life_epoch(ARGV[3]), call('HGET', LIFE, 'clock') or '0', fmt(at),
  had and tonumber(had) > 0 and '1' or '0', unpack(dead) }
`;

const head = `
-- ARGV: room, fresh.
local room = room_of(ARGV[1], ARGV[2])
return { room.epoch, fmt(room.seq) }
`;

const turn = `
-- ARGV: room, node, nowMs, keep, fresh, token, deadline, isRetry, epoch,
-- entries. Without an epoch any will do. A retry may have been done before, and
-- is answered then as it was. An entry is m text identity id, j name hold text,
-- l name hold text, r before name hold folded text leaveHead leaveTail, where
-- before is folded, or p text.
local name, node, keep, token = ARGV[1], ARGV[2], tonumber(ARGV[4]), ARGV[6]
local room = room_of(name, ARGV[5])
local LOG, HERE = P..'log:'..name, P..'here:'..name

local function answer(before, repeats, clock)
  local told = {}
  for index, seq in string.gmatch(repeats, '(%d+) (%d+)') do
    told[#told + 1] = index
    told[#told + 1] = seq
    told[#told + 1] = event_at(LOG, tonumber(seq))
  end
  return { room.epoch, clock, fmt(before), told }
end

-- Who said this belongs to a life that is lost, with all that was known of it.
if ARGV[9] ~= '' and ARGV[9] ~= room.epoch then
  return redis.error_reply('LOST the history began anew')
end

if ARGV[8] == '1' then
  local newest = call('XREVRANGE', LOG, '+', '-', 'COUNT', 10000)
  for _, entry in ipairs(newest) do
    local fields, last = fields_of(entry)
    if fields.t == token then
      return answer(last - fields.n, fields.r, call('HGET', LIFE, 'clock'))
    end
  end
end

if now() > tonumber(ARGV[7]) then
  return redis.error_reply('LATE this was to be stored earlier')
end

-- The seq that goes with an id: seq, unless it is remembered already.
local function remember(identity, id, seq)
  local key, pair = P..'id:'..identity, room.id..' '..id
  local known = call('HGET', key, pair)
  if known then return tonumber(known) end
  if call('EXISTS', key) == 0 then return seq end
  local slot = '#'..(call('HINCRBY', key, '#', 1) % ${REMEMBERED_IDS})
  local oldest = call('HGET', key, slot)
  if oldest then call('HDEL', key, oldest) end
  call('HSET', key, slot, pair, pair, seq)
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
    local who, hold, text = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local is = call('HGET', HERE, who)
    if not is then
      size = size + 1
      out[#out + 1] = text..size..'}'
    end
    if not is_passed(is, hold) then
      call('HSET', HERE, who, hold..' '..node)
      is_here = true
    end
    at = at + 4
  elseif kind == 'l' then
    local who, hold, text = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if call('HGET', HERE, who) == hold..' '..node then
      call('HDEL', HERE, who)
      size = size - 1
      out[#out + 1] = text..size..'}'
    end
    at = at + 4
  elseif kind == 'r' then
    local before, who, hold = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if call('HGET', HERE, before) == hold..' '..node then
      call('HDEL', HERE, before)
      if resting(ARGV[at + 4]) then call('HDEL', CLAIMS, ARGV[at + 4]) end
      local is = call('HGET', HERE, who)
      local may = not is_passed(is, hold)
      if is then
        -- Of two with the same key, the later one came before this was told.
        size = size - 1
        out[#out + 1] = ARGV[at + 6]..(may and who or before)..
          ARGV[at + 7]..size..'}'
      end
      if may then
        call('HSET', HERE, who, hold..' '..node)
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
    'e', table.concat(events, '\\n'), 'n', #events, 't', token, 'r', repeats)
  call('HSET', P..'room:'..name, 'seq', fmt(last))
  call('ZADD', ROOMS, ARGV[3], name)
end
local clock = #out > 0 and publish(name, room.epoch, out) or
  call('HGET', LIFE, 'clock') or 0
return answer(room.seq, repeats, fmt(clock))
`;

const sync = `
-- ARGV: room, node, fresh, joinHead, joinTail, leaveHead, leaveTail, members
-- as name and hold. Makes these, and no others, the members that the server
-- has in the room, and tells what all servers have there.
local name, node = ARGV[1], ARGV[2]
local room, HERE = room_of(name, ARGV[3]), P..'here:'..name
local wanted, out = {}, {}
for i = 8, #ARGV, 2 do wanted[ARGV[i]] = ARGV[i + 1] end
local size = call('HLEN', HERE)
local all = call('HGETALL', HERE)
for i = 1, #all, 2 do
  local who, is = all[i], all[i + 1]
  local hold, holder = string.match(is, '^(%d+) (.*)$')
  if holder == node and not wanted[who] then
    call('HDEL', HERE, who)
    size = size - 1
    out[#out + 1] = ARGV[6]..who..ARGV[7]..size..'}'
  end
end
for who, hold in pairs(wanted) do
  local is = call('HGET', HERE, who)
  -- Of two without a hold the other one came later: this one was here before.
  local is_lost = is and hold == '0' or is_passed(is, hold)
  if not is_lost then
    call('HSET', HERE, who, hold..' '..node)
    if not is then
      size = size + 1
      out[#out + 1] = ARGV[4]..who..ARGV[5]..size..'}'
    end
  end
end
call(ARGV[8] and 'SADD' or 'SREM', P..'rooms:'..node, name)
local clock = #out > 0 and publish(name, room.epoch, out) or
  call('HGET', LIFE, 'clock') or 0
return { room.epoch, fmt(room.seq), fmt(clock), call('HKEYS', HERE) }
`;

const reap = `
-- ARGV: node, leaveHead, leaveTail, restMs, fresh, isForced. Takes a dead
-- server's members out of some of its rooms; at last its names. Answers 1 when
-- all is done, also if it turns out to be alive.
local node = ARGV[1]
if ARGV[6] ~= '1' and is_alive(node) then return 1 end
call('ZADD', NODES, 'XX', 0, node)
local mine = P..'rooms:'..node
for i = 1, 50 do
  local name = call('SPOP', mine)
  if not name then break end
  local HERE, out = P..'here:'..name, {}
  local all, size = call('HGETALL', HERE), call('HLEN', HERE)
  for i = 1, #all, 2 do
    if string.match(all[i + 1], '^%d+ (.*)$') == node then
      call('HDEL', HERE, all[i])
      size = size - 1
      out[#out + 1] = ARGV[2]..all[i]..ARGV[3]..size..'}'
    end
  end
  if #out > 0 then publish(name, room_of(name, ARGV[5]).epoch, out) end
end
if call('EXISTS', mine) == 1 then return 0 end
local claims = call('HGETALL', CLAIMS)
for i = 1, #claims, 2 do
  if claims[i + 1] == node then
    if string.match(claims[i], '%-%d+$') then
      call('HDEL', CLAIMS, claims[i])
    else
      call('HSET', CLAIMS, claims[i], '~'..fmt(now() + ARGV[4])..' '..node)
    end
  end
end
call('ZREM', NODES, node)
return 1
`;

const after = `
-- ARGV: room, seq, keep, count, bytes, epoch, fresh. Turns that hold what
-- follows seq; nothing if that is not all there.
local room, seq = room_of(ARGV[1], ARGV[7]), tonumber(ARGV[2])
local is_other = ARGV[6] ~= '' and ARGV[6] ~= room.epoch
if is_other or seq > room.seq or seq < room.seq - ARGV[3] then return false end
local count, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local found, from = {}, seq + 1
while from <= room.seq and count > 0 and bytes > 0 do
  local page = call('XRANGE', P..'log:'..ARGV[1], fmt(from)..'-0', '+',
    'COUNT', 16)
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    local fields, last = fields_of(entry)
    found[#found + 1] = fmt(last)
    found[#found + 1] = fields.e
    count = count - math.min(fields.n, last - seq)
    -- Of the first turn some may not be wanted: better one turn too many.
    if last - fields.n >= seq then bytes = bytes - #fields.e + fields.n end
    from = last + 1
    if count <= 0 or bytes <= 0 then break end
  end
end
return (#found > 0 or seq == room.seq) and found
`;

const before = `
-- ARGV: room, seq, keep, count, bytes, epoch, fresh. The newest seq, and turns
-- that hold what is below seq, the newest first. Nothing of another epoch.
local room, seq = room_of(ARGV[1], ARGV[7]), tonumber(ARGV[2])
if ARGV[6] ~= '' and ARGV[6] ~= room.epoch then return {} end
local floor = math.max(0, room.seq - ARGV[3])
local LOG = P..'log:'..ARGV[1]
local count, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local found = { fmt(room.seq) }
-- The turn that holds seq ends at or above it, so begin there.
local holder = seq <= room.seq and
  call('XRANGE', LOG, fmt(math.max(seq, 0))..'-0', '+', 'COUNT', 1)[1]
local from = holder and holder[1] or '+'
while from and count > 0 and bytes > 0 do
  local page = call('XREVRANGE', LOG, from, fmt(floor)..'-0', 'COUNT', 16)
  from = #page == 16 and '('..page[16][1]
  for _, entry in ipairs(page) do
    local fields, last = fields_of(entry)
    found[#found + 1] = fmt(last)
    found[#found + 1] = fields.e
    count = count - fields.n + math.max(0, last - seq + 1)
    -- The turn that holds seq may have nothing that is wanted.
    if last < seq then bytes = bytes - #fields.e end
    if count <= 0 or bytes <= 0 then break end
  end
end
return found
`;

const register = `
-- ARGV: id, name, folded, hash, nowMs, node. Nothing if the name is somebody's;
-- else its hold, and the clock, which counts this too: to lose it is to lose what
-- was promised.
if call('HEXISTS', FOLDED, ARGV[3]) == 1 or claimed(ARGV[3]) then return {} end
local hold = fmt(next_hold())
call('HSET', P..'id:'..ARGV[1], 'name', ARGV[2], 'folded', ARGV[3],
  'hash', ARGV[4], 'hold', hold, 'node', ARGV[6])
call('HSET', FOLDED, ARGV[3], ARGV[1])
call('ZADD', IDS, ARGV[5], ARGV[1])
return { hold, fmt(tick()) }
`;

const rename = `
-- ARGV: id, name, folded, hold, restMs. 0 if the name is somebody else's, or if
-- somebody came with the same key since that hold. Of somebody who is here the
-- old name rests until the room was told, or another server could tell earlier
-- of the next one to have it.
local key = P..'id:'..ARGV[1]
local is = call('HGET', key, 'hold')
if ARGV[4] ~= '0' and is ~= ARGV[4] then return 0 end
local holder, old = call('HGET', FOLDED, ARGV[3]), call('HGET', key, 'folded')
local claim = claimed(ARGV[3])
local is_own = claim and string.match(claim, '^~%d+ (.*)$') == ARGV[1]
if holder and holder ~= ARGV[1] or not old or claim and not is_own then
  return 0
end
if ARGV[4] ~= '0' then
  call('HSET', CLAIMS, old, '~'..fmt(now() + ARGV[5])..' '..ARGV[1])
end
call('HDEL', CLAIMS, ARGV[3])
call('HDEL', FOLDED, old)
call('HSET', FOLDED, ARGV[3], ARGV[1])
call('HSET', key, 'name', ARGV[2], 'folded', ARGV[3])
return 1
`;

const identity = `
-- ARGV: id. Its hash and name.
return call('HMGET', P..'id:'..ARGV[1], 'hash', 'name')
`;

const touch = `
-- ARGV: nowMs, ids.
for i = 2, #ARGV do call('ZADD', IDS, 'XX', ARGV[1], ARGV[i]) end
`;

const reserved = `
-- ARGV: folded.
return call('HEXISTS', FOLDED, ARGV[1])
`;

const hold = `
-- ARGV: id, node. Whoever is here under an identity on another server gives
-- way. The new hold and the name; nothing if there is no such identity.
local key = P..'id:'..ARGV[1]
if call('EXISTS', key) == 0 then return {} end
local is = call('HMGET', key, 'hold', 'node', 'name')
local hold, before = fmt(next_hold(is[1])), is[2]
call('HSET', key, 'hold', hold, 'node', ARGV[2])
if before and before ~= ARGV[2] then
  call('PUBLISH', C..'node:'..before, 'way '..ARGV[1]..' '..hold)
end
return { hold, is[3] }
`;

const keep = `
-- ARGV: node, and pairs of id and hold. Which ids somebody else holds by now;
-- not those of which a restart has lost who came last.
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
`;

const letGo = `
-- ARGV: id, node, hold.
local key = P..'id:'..ARGV[1]
local is = call('HMGET', key, 'node', 'hold')
if is[1] == ARGV[2] and is[2] == ARGV[3] then call('HDEL', key, 'node') end
`;

const where = `
-- ARGV: id. The server where somebody is here under it.
local node = call('HGET', P..'id:'..ARGV[1], 'node')
return node and is_alive(node) and node or ''
`;

const claim = `
-- ARGV: folded, node. 0 if it is somebody else's.
if call('HEXISTS', FOLDED, ARGV[1]) == 1 then return 0 end
local is = claimed(ARGV[1])
local holder = is and (string.match(is, '^~%d+ (.*)$') or is)
if holder and holder ~= ARGV[2] then return 0 end
call('HSET', CLAIMS, ARGV[1], ARGV[2])
return 1
`;

const unclaim = `
-- ARGV: folded, node, restMs.
if call('HGET', CLAIMS, ARGV[1]) ~= ARGV[2] then return end
if ARGV[3] == '0' then
  call('HDEL', CLAIMS, ARGV[1])
else
  call('HSET', CLAIMS, ARGV[1], '~'..fmt(now() + ARGV[3])..' '..ARGV[2])
end
`;

const useRooms = `
-- ARGV: nowMs, rooms. They count as used.
for i = 2, #ARGV do call('ZADD', ROOMS, 'XX', ARGV[1], ARGV[i]) end
`;

const forgettable = `
-- ARGV: nowMs, maxIdentities. Some rooms and identities that may be forgotten,
-- each with the time that it was used; a room also if there are too many.
local oldest = ARGV[1] - ${FORGET_AFTER_MS}
local function old(set)
  return call('ZRANGE', set, '-inf', fmt(oldest), 'BYSCORE', 'LIMIT', 0, 200,
    'WITHSCORES')
end
local rooms, ids = old(ROOMS), old(IDS)
local surplus = call('ZCARD', IDS) - ARGV[2]
if #ids == 0 and surplus > 0 then
  ids = call('ZRANGE', IDS, 0, math.min(surplus, 200) - 1, 'WITHSCORES')
end
return { rooms, ids, call('ZCARD', ROOMS) - ${MAX_ROOMS_KEPT} }
`;

const sizes = `
-- ARGV: cursor. Rooms, each with its newest seq and when it was used.
local page = call('ZSCAN', ROOMS, ARGV[1], 'COUNT', 500)
local found = {}
for i = 1, #page[2], 2 do
  found[#found + 1] = page[2][i]
  found[#found + 1] = call('HGET', P..'room:'..page[2][i], 'seq') or '0'
  found[#found + 1] = page[2][i + 1]
end
return { page[1], found }
`;

const forgetRooms = `
-- ARGV: rooms, each with when it was used; not if that was again meanwhile, or
-- someone is there. They begin again at 1, which must not pass for their old
-- life: so the epoch of all rooms in which nothing was said is another one.
local count = 0
for i = 1, #ARGV, 2 do
  local name, used = ARGV[i], ARGV[i + 1]
  local is_same = call('ZSCORE', ROOMS, name) == used
  if is_same and call('EXISTS', P..'here:'..name) == 0 then
    call('DEL', P..'log:'..name, P..'room:'..name)
    call('ZREM', ROOMS, name)
    call('HINCRBY', LIFE, 'births', 1)
    count = count + 1
  end
end
return count
`;

const forgetIdentities = `
-- ARGV: ids, each with when it was used; not if that was again meanwhile.
local count = 0
for i = 1, #ARGV, 2 do
  if call('ZSCORE', IDS, ARGV[i]) == ARGV[i + 1] then
    local key = P..'id:'..ARGV[i]
    local folded = call('HGET', key, 'folded')
    if folded then call('HDEL', FOLDED, folded) end
    call('DEL', key)
    call('ZREM', IDS, ARGV[i])
    count = count + 1
  end
end
return count
`;

const draw = `
-- ARGV: room, node, frame in base64.
call('PUBLISH', C..'turn:'..ARGV[1], 'draw '..ARGV[2]..' '..ARGV[3])
`;

const tell = `
-- ARGV: node, text. Tells another server something; 0 if it is not there.
return call('PUBLISH', C..'node:'..ARGV[1], ARGV[2])
`;

const bodies = {
  after,
  beat,
  before,
  begin,
  claim,
  draw,
  forgetIdentities,
  forgetRooms,
  forgettable,
  head,
  hold,
  identity,
  keep,
  letGo,
  reap,
  register,
  rename,
  reserved,
  sizes,
  sync,
  tell,
  touch,
  turn,
  unclaim,
  useRooms,
  where,
};

export type ScriptName = keyof typeof bodies;

/** What all channels begin with: the databases of a Redis share them. */
export function channelPrefix(database: string): string {
  return `partyline:${database}:`;
}

/** The text of each script, whole. */
export function scriptsFor(database: string): Record<ScriptName, string> {
  const head = `local C = '${channelPrefix(database)}'\n${common}`;
  const whole = Object.entries(bodies).map(([name, body]) =>
    [name, head + body] as const
  );
  return Object.fromEntries(whole) as Record<ScriptName, string>;
}
