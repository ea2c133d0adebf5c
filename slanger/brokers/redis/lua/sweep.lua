-- Let go of some of what an ended lease held.
-- ARGV: [4] origin, [5] the ended lease, [6] how many things, about, [7] JSON: {app: whether it has webhooks},
-- [8] JSON: {app: whether its subscribers are told how many they are}, [9] where to go on, "0" at first.
-- Answers where to go on, or "" when nothing is left, or another node has cleaned up.

local origin, lease, hooked, counted = ARGV[4], ARGV[5], cjson.decode(ARGV[7]), cjson.decode(ARGV[8])
local held, dead = ROOT .. ':held:' .. lease, ROOT .. ':dead'
local tell_at = redis.call('ZSCORE', dead, lease)
if not tell_at then
  return ''
end
local cursor, things = unpack(redis.call('HSCAN', held, ARGV[9], 'COUNT', ARGV[6]))
for index = 1, #things, 2 do
  local kind, app, rest = string.match(things[index], '^(%a) (%S*) (.*)$')
  if kind == 'c' then
    drop_channel(lease, app, rest, hooked[app], tell_at)
    if counted[app] then
      recount(app, rest, tell_at)
    end
  elseif kind == 'm' then
    local length, names = string.match(rest, '^(%d+) (.*)$')
    local channel, user = string.sub(names, 1, length), string.sub(names, length + 1)
    drop_member(lease, origin, app, channel, user, hooked[app], tell_at)
  elseif kind == 't' then
    redis.call('ZADD', DUE, tell_at, rest)
  end
  redis.call('HDEL', held, things[index])
end
if redis.call('EXISTS', held) == 0 then
  redis.call('ZREM', dead, lease)
  return ''
end
return cursor
