-- Copy rosters. ARGV: [4] app, [5] JSON: channels. Answers for each {position, roster}.

local base, answers = base_of(ARGV[4]), {}
for index, channel in ipairs(cjson.decode(ARGV[5])) do
  answers[index] = {
    redis.call('GET', base .. ':last:' .. channel) or '',
    redis.call('HGETALL', base .. ':roster:' .. channel),
  }
end
return answers
