-- Find what was published on channels since a node last heard of each.
-- ARGV: [4] app, [5] how many entries to look at, [6] where to begin, or "" at the first call,
-- [7] JSON: list of [channel, position of its last message, position up to which all was heard].
-- Answers {last position of each channel, position up to which entries may be lost, where to go on or "", entries};
-- entries are position, channel, envelope. Nothing is read where nothing is new.

local base, count, from = base_of(ARGV[4]), ARGV[5], ARGV[6]
local log = base .. ':log'

local function later(one, other)
  local ms, number = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms > other_ms or (ms == other_ms and tonumber(number) > tonumber(other_number))
end

-- What is gone: what gave way, and what was published so long ago that a silent log has expired since.
local ends = redis.call('HMGET', base .. ':ends', 'end', 'trimmed')
local stop, lost = ends[1] or '0-0', ends[2] or '0-0'
local forgotten = (now() - RETENTION) .. '-0'
if later(forgotten, stop) then
  forgotten = stop
end
if later(forgotten, lost) then
  lost = forgotten
end

local lasts, wanted, oldest = {}, {}, nil
for index, each in ipairs(cjson.decode(ARGV[7])) do
  local channel, at, sure = each[1], each[2], each[3]
  local last = redis.call('GET', base .. ':last:' .. channel)
  local news = later(last or forgotten, last and at or sure)
  lasts[index] = last or news and '' or sure
  if news then
    wanted[channel] = true
    if later(lost, at) then
      at = sure
    end
    if not oldest or later(oldest, at) then
      oldest = at
    end
  end
end

local entries, go_on = {}, ''
if oldest then
  if from == '' then
    from = oldest
  end
  local ms, number = string.match(from, '^(%d+)-(%d+)$')
  local page = redis.call('XRANGE', log, ms .. '-' .. string.format('%.0f', number + 1), '+', 'COUNT', count)
  for _, entry in ipairs(page) do
    local fields = entry[2]
    if fields[1] == 'c' and wanted[fields[2]] then
      entries[#entries + 1] = entry[1]
      entries[#entries + 1] = fields[2]
      entries[#entries + 1] = fields[4] or ''
    end
  end
  if #page == tonumber(count) then
    go_on = page[#page][1]
  end
end
return {lasts, lost, go_on, entries}
