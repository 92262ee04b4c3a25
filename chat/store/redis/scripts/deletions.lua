-- ARGV: room, seq, count, epoch, fresh. Whether less was deleted when seq was the newest,
-- or later, than is kept; and what told of that, up to count.
if ARGV[4] ~= room_of(ARGV[1], ARGV[5]).epoch then return { 0, {} } end
local all, found = call('LRANGE', P..'gone:'..ARGV[1], 0, -1), {}
local is_complete = #all < MAX_DELETIONS
for i, gone in ipairs(all) do
  local seq, told = string.match(gone, '^(%d+) (.*)$')
  local is_since = tonumber(seq) >= tonumber(ARGV[2])
  if i == 1 and not is_since then is_complete = true end
  if is_since then found[#found + 1] = told end
  if #found == tonumber(ARGV[3]) then break end
end
return { is_complete and 1 or 0, found }
