-- Renew a node's lease, or begin it; find leases that have ended.
-- ARGV: [4] origin, [5] lease, [6] milliseconds it lasts, [7] "begin" or "".
-- Answers {1, now, leases to clean up...}, or {0} if the lease has ended.

local nodes, dead, lease, time = ROOT .. ':nodes', ROOT .. ':dead', ARGV[5], now()
if ARGV[7] == '' and not redis.call('ZSCORE', nodes, lease) then
  return {0}
end
redis.call('ZADD', nodes, time + tonumber(ARGV[6]), lease)
for _, ended in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', time)) do
  redis.call('ZREM', nodes, ended)
  redis.call('ZADD', dead, time, ended)
end
redis.call('PUBLISH', ROOT .. ':beat:' .. ARGV[4], time)
return {1, time, unpack(redis.call('ZRANGE', dead, 0, 9))}
