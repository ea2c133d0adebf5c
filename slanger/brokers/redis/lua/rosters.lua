-- Copy rosters. ARGV: [4] app, [5] JSON: channels. Answers for each {position, picture}.

local base, answers = base_of(ARGV[4]), {}
for index, channel in ipairs(cjson.decode(ARGV[5])) do
  answers[index] = {
    redis.call('GET', base .. ':last:' .. channel) or '',
    picture_of(base, channel),
  }
end
return answers
