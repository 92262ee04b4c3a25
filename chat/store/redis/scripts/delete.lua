-- ARGV: room, seq, event, deleted, told, fresh. Replaces the event with that
-- seq by "deleted", if it is still "event", and publishes "told". Entries of a
-- stream cannot be changed: the entries from there on are deleted and added
-- again. So are the NODE_ENTRIES before it, because Redis frees the memory of
-- deleted entries only together with all entries of their node.
local name, seq = ARGV[1], tonumber(ARGV[2])
local room, LOG = room_of(name, ARGV[6]), P..'log:'..ARGV[1]
if event_at(LOG, seq) ~= ARGV[3] then return 0 end
local first = fmt(seq)..'-0'
local before = call('XREVRANGE', LOG, '('..first, '-', 'COUNT', NODE_ENTRIES)
if #before > 0 then first = before[#before][1] end
local entries = call('XRANGE', LOG, first, '+')
for _, entry in ipairs(entries) do call('XDEL', LOG, entry[1]) end
local top = call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
call('XSETID', LOG, top and top[1] or '0-0')
for _, entry in ipairs(entries) do
  local fields, last = fields_of(entry)
  local at = last - fields.n + 1
  if at <= seq and seq <= last then
    local events = {}
    for event in string.gmatch(fields.e, '[^\n]+') do
      events[#events + 1] = at == seq and ARGV[4] or event
      at = at + 1
    end
    fields.e = table.concat(events, '\n')
  end
  call('XADD', LOG, entry[1], 'e', fields.e, 'n', fields.n, 't', fields.t,
    'r', fields.r)
end
local GONE = P..'gone:'..name
call('RPUSH', GONE, fmt(room.seq)..' '..ARGV[5])
call('LTRIM', GONE, -MAX_DELETIONS, -1)
publish(name, room.epoch, { ARGV[5] })
return 1
