-- Find what was published on channels since a node last heard of each.
-- ARGV: [4] app, [5] how many entries to look at, [6] where to begin, or "" at the first call,
-- [7] JSON: list of [channel, position it is known up to].
-- Answers {last position of each channel..., end of the log, last entry that gave way, where to go on or "", entries}:
-- entries are position, channel, envelope. Nothing is read where nothing is new.

local base, count, from = base_of(ARGV[4]), ARGV[5], ARGV[6]
local log = base .. ':log'
local lasts, wanted, any, oldest = {}, {}, false, ''

local function later(one, other)
  local ms, number = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms > other_ms or (ms == other_ms and tonumber(number) > tonumber(other_number))
end

local forgotten = (now() - RETENTION) .. '-0'
for index, each in ipairs(cjson.decode(ARGV[7])) do
  local channel, known = each[1], each[2]
  local last = redis.call('GET', base .. ':last:' .. channel)
  lasts[index] = last or ''
  if (last and later(last, known)) or (not last and later(forgotten, known)) then
    wanted[channel], any = true, true
    if oldest == '' or later(oldest, known) then
      oldest = known
    end
  end
end
local ends = redis.call('HMGET', base .. ':ends', 'end', 'trimmed')
local answer = {lasts, ends[1] or '', ends[2] or '', '', {}}
if redis.call('EXISTS', log) == 0 then
  answer[3] = answer[2]
elseif any then
  if from == '' then
    from = oldest
  end
  local ms, number = string.match(from, '^(%d+)-(%d+)$')
  local page = redis.call('XRANGE', log, ms .. '-' .. string.format('%.0f', number + 1), '+', 'COUNT', count)
  local entries = answer[5]
  for _, entry in ipairs(page) do
    local fields = entry[2]
    if fields[1] == 'c' and wanted[fields[2]] then
      entries[#entries + 1] = entry[1]
      entries[#entries + 1] = fields[2]
      entries[#entries + 1] = fields[4] or ''
    end
  end
  if #page == tonumber(count) then
    answer[4] = page[#page][1]
  end
end
return answer
