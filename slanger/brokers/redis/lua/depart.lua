-- End leases, on purpose. ARGV: [4] milliseconds until what they hold is let go of, [5...] the leases.

for index = 5, #ARGV do
  redis.call('ZREM', ROOT .. ':nodes', ARGV[index])
  if redis.call('EXISTS', ROOT .. ':held:' .. ARGV[index]) == 1 then
    redis.call('ZADD', ROOT .. ':dead', now() + tonumber(ARGV[4]), ARGV[index])
  end
end
