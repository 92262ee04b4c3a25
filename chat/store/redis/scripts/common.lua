-- What all scripts share. Each script is one step that no other server's step can
-- come between; one that has written something does not fail after it. Before
-- this stand the constants that scripts.ts gives them.
--
-- Keys, all with the prefix:
--   life         epoch (the life of this data), births (counts up when a room
--                is forgotten), clock (counts publishes and new
--                identities), rooms (counts rooms), run, before, began,
--                renewed (see `begin`), format (of this data; 1 if missing),
--                wiped (when something was last);
--                lived, seen, step: its own clock at the last beat, Redis' then,
--                and how far it may go until the next; counted: its own when
--                it began
--   room:NAME    of a room in which something was said, or was to be: id, births, seq;
--                made: when (older versions noted none); told: the last of gone:NAME,
--                unless a server of an older version was the last to delete
--   log:NAME     its stream, an entry a turn: e(vents), n(umber of them),
--                t(oken of the turn), r(epeats); the id is the last seq
--   gone:NAME    events of its newest deleted messages, each after the newest seq then
--   blank:ID     by its seq each deleted message of the room with that id as it reads now,
--                while its text is still in the stream
--   copy:ID      of that stream what is copied without those texts (see `wipe`)
--   late:ID      those of blank:ID that were copied before they were deleted
--   wipes        "ID NAME" of the rooms that have something to wipe, in turn
--   rooms        rooms by when they were used; all times are of the data's own clock
--   here:NAME    who is in the room: name to "generation node"
--   id:ID        an identity: name, folded, hash, hold (its generation), node, made
--                (when; older versions noted none), full (when its burst is whole,
--                going by what it said), ids of its newest messages: "ROOM ID" to
--                seq; #0… are their order
--   ids          identities by when they were used
--   standing     those of them by how they stand (see standingOf in store.ts), and
--                below 2 by when they were used as well, which is the fraction.
--                Older versions noted none, so theirs stand highest
--   folded       identities by folded name
--   claims       names of those without an identity: folded to node, or
--                "~until node" while it rests ("~until -" if given back), "~until id" if it was that
--                identity's
--   nodes        servers by when their lease ends; 0 once it was seen to be over
--   rooms:NODE   rooms in which it may have members
--   ends         how far the clock had come when each process of Redis ended
--   link:LINK    which of a server's connections is the newest
-- and the channels turn:NAME and node:NODE, with a prefix of their own (C).

local P = 'partyline:'
local LIFE, NODES, CLAIMS, FOLDED, IDS, STANDING, ROOMS, ENDS, WIPES = P..'life',
  P..'nodes', P..'claims', P..'folded', P..'ids', P..'standing', P..'rooms', P..'ends',
  P..'wipes'
local call = redis.call

-- The last of ARGV says over which connection this came. What was sent over an
-- earlier one may arrive after all, and must do nothing any more.
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

-- The data's own clock. It goes on like Redis', but from one beat of a server to
-- the next at most as far as "step": so it goes on only while a server runs, and
-- a clock that is set moves it by no more than that.
local function now()
  local is = call('HMGET', LIFE, 'lived', 'seen', 'step')
  if not is[1] then return time() end
  return is[1] + math.min(math.max(time() - is[2], 0), tonumber(is[3]))
end

-- The epoch of this data; a new one, which is given, if there is no data.
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

-- Whether a place in a room is somebody's who came later than that generation.
local function is_superseded(is, generation)
  return is and tonumber(string.match(is, '^%d+')) > tonumber(generation)
end

-- A new generation of an identity that had the one before. By the clock, so that it is
-- higher than all before, also those of whoever else had the same name, and
-- those that were lost.
local function next_generation(before)
  return math.max(time(), tonumber(before or 0) + 1)
end

-- Notes how an identity stands that was used over a span, until now.
local function note_standing(id, span, at)
  local is = span
  if span < MOMENT_MS then
    -- Redis' time in ms has 41 bits.
    is = math.floor(call('ZSCORE', STANDING, id) or 0) + at / 2 ^ 44
  end
  call('ZADD', STANDING, string.format('%.17g', is), id)
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
