-- ARGV: room, seq, count, epoch, fresh. Returns up to count events that tell
-- the deletions since seq was the newest.
if ARGV[4] ~= room_of(ARGV[1], ARGV[5]).epoch then return {} end
local found = {}
for _, gone in ipairs(call('LRANGE', P..'gone:'..ARGV[1], 0, -1)) do
  local seq, told = string.match(gone, '^(%d+) (.*)$')
  if tonumber(seq) >= tonumber(ARGV[2]) then found[#found + 1] = told end
  if #found == tonumber(ARGV[3]) then break end
end
return found
