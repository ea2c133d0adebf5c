-- A cache channel was found empty: the app is told once in a while.
-- ARGV: [4] app, [5] channel, [6] milliseconds. Answers how many occurrences are due.

local base = base_of(ARGV[4])
if redis.call('SET', base .. ':missed:' .. ARGV[5], '', 'NX', 'PX', ARGV[6]) then
  redis.call('ZADD', DUE, now(), occurrence(ARGV[4], 'cache_miss', ARGV[5]))
  return 1
end
return 0
