-- ARGV: run, seenRun, seenClock, fresh. A server that has just connected says
-- which Redis process it saw last, and how far the clock of that had come. The
-- data says how far the clock of each earlier process came. If the server saw
-- more, or a process that the data does not know, then a restart or a fail-over
-- has lost something, and all rooms get a new epoch, once per process.
local run, seen_run, seen_clock, fresh = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local format = tonumber(call('HGET', LIFE, 'format') or 1)
if format > FORMAT then
  return redis.error_reply('NEWER its data was written by a newer Partyline ' ..
    '(its format is '..fmt(format)..', this one reads up to '..FORMAT..'): start ' ..
    'that version, or choose another Redis or number of a database')
end
call('SET', P..'link:'..connection, nth, 'PX', LATE_MS)
local life = call('HMGET', LIFE, 'epoch', 'run', 'renewed', 'clock')
local clock = life[4] or '0'
if not life[1] then
  call('HSET', LIFE, 'epoch', fresh, 'run', run, 'renewed', run)
else
  if life[2] ~= run then
    call('HSET', LIFE, 'run', run)
    if call('HLEN', ENDS) >= MAX_ENDS then call('DEL', ENDS) end
    call('HSET', ENDS, life[2] or '', clock)
  end
  local ended = call('HGET', ENDS, seen_run)
  local is_lost = seen_run ~= '' and seen_run ~= run and life[3] ~= run and
    (not ended or tonumber(seen_clock) > tonumber(ended))
  if is_lost then call('HSET', LIFE, 'epoch', fresh, 'renewed', run) end
end
call('HSET', LIFE, 'format', FORMAT)
return { call('HGET', LIFE, 'epoch'), clock }
