-- Renew a node's lease, or begin it; find leases that have ended.
-- ARGV: [4] origin, [5] lease, [6] milliseconds it lasts, [7] "begin" or "".
-- Answers {1, now, for how long Redis has known of this deployment, leases to clean up...}, or {0} if the lease has ended.

local nodes, dead, lease, lasts, time = ROOT .. ':nodes', ROOT .. ':dead', ARGV[5], tonumber(ARGV[6]), now()
if ARGV[7] == '' and not redis.call('ZSCORE', nodes, lease) then
  return {0}
end
redis.call('SET', ROOT .. ':born', time, 'NX')
local beaten = tonumber(redis.call('GET', ROOT .. ':beaten') or time)
if time - beaten > lasts / 2 then
  -- Nobody could renew a lease: it was Redis that was away. Everybody gets another chance.
  for _, other in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
    redis.call('ZADD', nodes, time + lasts, other)
  end
end
redis.call('SET', ROOT .. ':beaten', time)
redis.call('ZADD', nodes, time + lasts, lease)
for _, ended in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', time)) do
  redis.call('ZREM', nodes, ended)
  redis.call('ZADD', dead, time, ended)
end
redis.call('PUBLISH', ROOT .. ':beat:' .. ARGV[4], time)
return {1, time, time - redis.call('GET', ROOT .. ':born'), unpack(redis.call('ZRANGEBYSCORE', dead, '-inf', time, 'LIMIT', 0, 10))}
