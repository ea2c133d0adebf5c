-- Take what apps are to be told now; acknowledge what they were told.
-- ARGV: [4] lease, [5] how many, [6] JSON: apps, [7] JSON: list of [lease, app, occurrence] that were told.
-- Answers [app, occurrence, ...]. What a node took and did not acknowledge goes back when its lease ends.

local lease = ARGV[4]
for _, told in ipairs(cjson.decode(ARGV[7])) do
  redis.call('HDEL', ROOT .. ':held:' .. told[1], 't ' .. told[2] .. ' ' .. told[3])
end
local claimed = {}
for _, app in ipairs(cjson.decode(ARGV[6])) do
  local due = base_of(app) .. ':due'
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now(), 'LIMIT', 0, ARGV[5])) do
    redis.call('ZREM', due, each)
    redis.call('HSET', ROOT .. ':held:' .. lease, 't ' .. app .. ' ' .. each, '')
    claimed[#claimed + 1] = app
    claimed[#claimed + 1] = each
  end
end
return claimed
