-- Take what apps are to be told now; acknowledge what they were told.
-- ARGV: [4] lease, [5] how many, [6] JSON: list of [lease, occurrence] that were told.
-- Answers occurrences. What a node took and did not acknowledge goes back when its lease ends.

local lease = ARGV[4]
for _, told in ipairs(cjson.decode(ARGV[6])) do
  redis.call('HDEL', ROOT .. ':held:' .. told[1], 't  ' .. told[2])
end
if not redis.call('ZSCORE', ROOT .. ':nodes', lease) then
  return {}
end
local claimed = redis.call('ZRANGEBYSCORE', DUE, '-inf', now(), 'LIMIT', 0, ARGV[5])
for _, each in ipairs(claimed) do
  redis.call('ZREM', DUE, each)
  redis.call('HSET', ROOT .. ':held:' .. lease, 't  ' .. each, '')
end
return claimed
