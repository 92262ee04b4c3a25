-- Shared by all scripts. Each script is one step, which no other server's step
-- can interrupt; a script that has written something does not fail after it.
-- The constants from scripts.ts stand before this.
--
-- Keys, all with the prefix:
--   life         epoch (of the life of this data), births (counts forgotten
--                rooms), clock (a counter of publishes and new identities),
--                rooms (counts rooms), run, before, began, renewed (see
--                begin.lua), format (of this data; 1 if missing); lived, seen,
--                step: the data's clock at the last beat, Redis' clock then,
--                and how far lived may advance until the next beat; counted:
--                the data's clock when it began; wiped (Redis' clock at the
--                last step of wipe.lua); looks (the version of Unicode by which
--                all looks were noted)
--   room:NAME    id, births, seq: of a room with a message, or in use; made (when;
--                not from older versions); told: the last of gone:NAME, unless a
--                server of an older version was the last to delete
--   log:NAME     a room's stream, one entry per turn: e(vents), n(umber of
--                them), t(oken of the turn), r(epeats); its id is the last seq
--   gone:NAME    events that tell a room's newest deletions, each after the
--                newest seq at that time
--   blank:ID     deleted messages of the room with that id, by seq, as they read
--                now, while their text is still in the stream
--   copy:ID      the part of that stream that is copied without those texts (see
--                wipe.lua)
--   late:ID      those of blank:ID that were copied before they were deleted
--   wipes        "ID NAME" of the rooms that have texts to wipe, in turn
--   rooms        rooms by last use; all times are by the data's clock
--   here:NAME    the members of a room: name to "generation node"
--   id:ID        an identity: name, folded, hash, hold (the generation), node,
--                made (when; not from older versions), full (when the burst is
--                full, by the messages so far), ids of the newest messages:
--                "ROOM ID" to seq; #0… are their order; look (of its name, see
--                look_alikes.ts; not from older versions)
--   ids          identities by last use
--   standing     identities by how they stand (see standingOf in store.ts); a
--                value below 2 has the last use as its fraction. Older versions
--                wrote none, so their identities stand highest
--   folded       identities by folded name
--   looks        identities by the look of their name; one counts only if its
--                own look says the same
--   claims       folded names that no identity owns: to node, or while
--                the name rests to "~until node", to "~until -" if it was given
--                back, to "~until id" if it was that identity's
--   nodes        servers by the end of their lease; 0 once that was noticed
--   rooms:NODE   rooms in which the server may have members
--   ends         the last clock of each earlier process of Redis
--   link:LINK    the number of a server's newest connection
-- and the channels turn:NAME and node:NODE, with a prefix of their own (C).

local P = 'partyline:'
local LIFE, NODES, CLAIMS, FOLDED, LOOKS, IDS, STANDING, ROOMS, ENDS, WIPES =
  P..'life', P..'nodes', P..'claims', P..'folded', P..'looks', P..'ids',
  P..'standing', P..'rooms', P..'ends', P..'wipes'
local call = redis.call

-- The last value of ARGV names the connection that the script came over. A
-- script sent over an earlier connection may arrive later, and must do nothing.
local connection, nth = string.match(table.remove(ARGV), '^(%S+) (%d+)$')
nth = tonumber(nth)
if tonumber(call('GET', P..'link:'..connection) or 0) > nth then
  return redis.error_reply('LATE this came over a lost connection')
end

local fmt = function(n) return string.format('%d', n) end

-- Redis' clock, which somebody may set at any time.
local function time()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- The data's own clock, in ms. It advances like Redis' clock, but from one beat
-- of a server to the next at most by "step": so it advances only while a server
-- runs, and a clock that somebody sets moves it by no more than that.
local function now()
  local is = call('HMGET', LIFE, 'lived', 'seen', 'step')
  if not is[1] then return time() end
  return is[1] + math.min(math.max(time() - is[2], 0), tonumber(is[3]))
end

-- The epoch of this data, or "fresh" if there is no data yet.
local function life_epoch(fresh)
  local epoch = call('HGET', LIFE, 'epoch')
  if epoch then return epoch end
  call('HSET', LIFE, 'epoch', fresh, 'format', FORMAT)
  return fresh
end

local function room_of(name, fresh)
  local r = call('HMGET', P..'room:'..name, 'id', 'births', 'seq')
  local births = r[2] or call('HGET', LIFE, 'births') or '0'
  local epoch = life_epoch(fresh)..'.'..births
  return { name = name, id = r[1], births = births, epoch = epoch,
    seq = tonumber(r[3] or 0) }
end

-- Notes the epoch of a room in use in which nothing was said, or it would begin anew
-- when others are forgotten.
local function hold_epoch(name, at)
  local key = P..'room:'..name
  if call('EXISTS', key) == 1 then return end
  call('HSET', key, 'births', call('HGET', LIFE, 'births') or '0', 'made', at)
  call('ZADD', ROOMS, at, name)
end

-- Whether text of deleted messages is still to be wiped; asked once in a script.
local function has_blanks(room)
  if room.has_blanks == nil then
    room.has_blanks = room.id and call('EXISTS', P..'blank:'..room.id) == 1
  end
  return room.has_blanks
end

-- To be called before it is noted that another message is deleted. A server of an older
-- version rewrites the stream, also where it is copied already: then the copy begins
-- again.
local function check_copy(room)
  local told = call('LINDEX', P..'gone:'..room.name, -1)
  if told == call('HGET', P..'room:'..room.name, 'told') then return end
  call('DEL', P..'copy:'..room.id, P..'late:'..room.id)
  if told then call('HSET', P..'room:'..room.name, 'told', told) end
end

local function tick() return call('HINCRBY', LIFE, 'clock', 1) end

local function publish(name, epoch, events)
  local clock = tick()
  call('PUBLISH', C..'turn:'..name,
    epoch..' '..fmt(clock)..'\n'..table.concat(events, '\n'))
  return clock
end

local function is_alive(node)
  local untilMs = call('ZSCORE', NODES, node)
  return untilMs and tonumber(untilMs) > now()
end

-- Whether a later generation has the place in a room.
local function is_superseded(is, generation)
  return is and tonumber(string.match(is, '^%d+')) > tonumber(generation)
end

-- A new generation of an identity, after the one before. It is taken from the
-- clock, so that it is higher than all earlier ones, even those of other
-- holders of the same name and those that were lost.
local function next_generation(before)
  return math.max(time(), tonumber(before or 0) + 1)
end

-- Notes how an identity stands that was used over a span, until "at".
local function note_standing(id, span, at)
  local is = span
  if span < MOMENT_MS then
    -- Redis' time in ms has 41 bits.
    is = math.floor(call('ZSCORE', STANDING, id) or 0) + at / 2 ^ 44
  end
  call('ZADD', STANDING, string.format('%.17g', is), id)
end

-- The time until which a name rests, if it rests; and its claim.
local function resting(folded)
  local claim = call('HGET', CLAIMS, folded)
  return claim and string.match(claim, '^~(%d+)'), claim
end

-- The claim on a name: the server of its holder, or its rest.
local function claimed(folded)
  local rest, claim = resting(folded)
  if rest and tonumber(rest) <= now() then
    call('HDEL', CLAIMS, folded)
    return false
  end
  return claim
end

-- The identity whose name has this look.
local function looking(look)
  local id = call('HGET', LOOKS, look)
  return id and call('HGET', P..'id:'..id, 'look') == look and id
end

-- Notes how the name of an identity looks. Of two that look alike, which an older
-- version could give, the first one counts.
local function note_look(id, look)
  local key = P..'id:'..id
  local before = call('HGET', key, 'look')
  if before and before ~= look and call('HGET', LOOKS, before) == id then
    call('HDEL', LOOKS, before)
  end
  call('HSET', key, 'look', look)
  if not looking(look) then call('HSET', LOOKS, look, id) end
end

-- The lines of a text; not by a pattern, which takes ten times as long.
local function lines_of(text)
  local lines, from = {}, 1
  while true do
    local to = string.find(text, '\n', from, true)
    lines[#lines + 1] = string.sub(text, from, (to or 0) - 1)
    if not to then return lines end
    from = to + 1
  end
end

-- The fields of an entry of a stream, and the seq of its last event. With its room,
-- messages read as deleted whose text is still to be wiped.
local function fields_of(entry, room)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  local last = tonumber(string.match(entry[1], '^%d+'))
  if not room or not has_blanks(room) then return fields, last end
  local first = last - fields.n + 1
  local blanks = call('ZRANGE', P..'blank:'..room.id, first, last, 'BYSCORE',
    'WITHSCORES')
  if #blanks == 0 then return fields, last end
  local events = lines_of(fields.e)
  for i = 1, #blanks, 2 do events[blanks[i + 1] - first + 1] = blanks[i] end
  fields.e = table.concat(events, '\n')
  return fields, last
end

-- The event of a room with that seq, or '' if it is no longer there.
local function event_at(room, seq)
  local blank = has_blanks(room) and
    call('ZRANGE', P..'blank:'..room.id, seq, seq, 'BYSCORE')[1]
  if blank then return blank end
  local entry = call('XRANGE', P..'log:'..room.name, fmt(seq)..'-0', '+', 'COUNT', 1)[1]
  if not entry then return '' end
  local fields, last = fields_of(entry)
  local first, from = last - fields.n + 1, 1
  if seq < first then return '' end
  for _ = first, seq - 1 do from = string.find(fields.e, '\n', from, true) + 1 end
  local to = string.find(fields.e, '\n', from, true)
  return string.sub(fields.e, from, (to or 0) - 1)
end
