-- List occupied channels whose names begin so, a page at a time, each with its counts.
-- ARGV: [4] app, [5] prefix, [6] the last name of the page before or "", [7] how many.
-- Answers channel, subscriptions, users, ...

local base, prefix = base_of(ARGV[4]), ARGV[5]
local from = '[' .. prefix
if ARGV[6] ~= '' then
  from = '(' .. ARGV[6]
end
local answer = {}
local page = redis.call('ZRANGEBYLEX', base .. ':channels', from, '[' .. prefix .. '\255', 'LIMIT', 0, ARGV[7])
for _, channel in ipairs(page) do
  local subscriptions = 0
  for _, count in ipairs(redis.call('HVALS', base .. ':subs:' .. channel)) do
    subscriptions = subscriptions + count
  end
  answer[#answer + 1] = channel
  answer[#answer + 1] = subscriptions
  answer[#answer + 1] = redis.call('HLEN', base .. ':roster:' .. channel)
end
return answer
