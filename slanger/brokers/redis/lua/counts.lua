-- Count who is on channels. ARGV: [4] app, [5] JSON: channels. Answers subscriptions and users of each.

local base, answer = base_of(ARGV[4]), {}
for _, channel in ipairs(cjson.decode(ARGV[5])) do
  local subscriptions = 0
  for _, count in ipairs(redis.call('HVALS', base .. ':subs:' .. channel)) do
    subscriptions = subscriptions + count
  end
  answer[#answer + 1] = subscriptions
  answer[#answer + 1] = redis.call('HLEN', base .. ':roster:' .. channel)
end
return answer
