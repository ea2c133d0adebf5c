-- What all scripts share. The keys of an app:
--
--   APP:log              stream of what was published: c(hannel), e(nvelope); bounded
--   APP:ends             hash: `end`, the position of the last entry; `trimmed`, of the last that gave way
--   APP:last:CHANNEL     position of the channel's last entry; forgotten after the retention
--   APP:subs:CHANNEL     hash: lease -> how many subscribers that node has
--   APP:channels         sorted set of the occupied channels, by name
--   APP:roster:CHANNEL   hash: user -> his info, of the first that brought him
--   APP:holders:CHANNEL  hash: user -> how many nodes hold him
--
-- and those of the deployment:
--
--   ROOT:nodes           sorted set: lease -> when it ends
--   ROOT:dead            sorted set: lease that ended -> from when what it held is let go of
--   ROOT:due             sorted set: occurrences that apps are to be told of, by the time when
--   ROOT:born            when Redis first heard of the deployment: later than its nodes where Redis came back empty
--   ROOT:beaten          when a node last renewed its lease
--   ROOT:held:LEASE      hash: all that a node holds, so that survivors can let go of it; LEASE~TIME is what it handed
--                        over, and is dead from the start
--   ROOT:seq:ORIGIN      number of the last message taken from a node
--
-- Times are milliseconds of Redis's clock; positions are ids of stream entries.

local ROOT, RETENTION, LOG_LENGTH = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local TRIM_STEP = 64

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function base_of(app)
  return ROOT .. ':' .. app
end

-- Put an envelope into the app's log and tell the nodes that have subscribers on the channel.
local function emit(base, channel, envelope)
  local last, log, ends = base .. ':last:' .. channel, base .. ':log', base .. ':ends'
  local before = redis.call('GET', last) or ''
  local position = redis.call('XADD', log, 'MINID', '~', now() - RETENTION, '*', 'c', channel, 'e', envelope)
  redis.call('SET', last, position, 'PX', RETENTION)
  redis.call('HSET', ends, 'end', position)
  redis.call('PEXPIRE', log, RETENTION)
  local length = redis.call('XLEN', log)
  if length >= LOG_LENGTH + TRIM_STEP then
    local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', length - LOG_LENGTH)
    redis.call('HSET', ends, 'trimmed', oldest[#oldest][1])
    redis.call('XTRIM', log, 'MAXLEN', LOG_LENGTH)
  end
  redis.call('PUBLISH', base .. ':to:' .. channel, '["' .. position .. '","' .. before .. '",' .. envelope .. ']')
  return position
end

local DUE = ROOT .. ':due'

local function occurrence(app, name, channel, user)
  return cjson.encode({app, name, channel, user or ''})
end

-- Something began: the app is told at once, unless that undoes an ending nobody was told of yet.
local function begin(app, name, ending, channel, user, told)
  if redis.call('ZREM', DUE, occurrence(app, ending, channel, user)) == 0 and not told then
    redis.call('ZADD', DUE, now(), occurrence(app, name, channel, user))
    return 1
  end
  return 0
end

-- Something ended: the app is told when the grace is over.
local function finish(app, name, channel, user, tell_at)
  redis.call('ZADD', DUE, tell_at, occurrence(app, name, channel, user))
end

local function is_presence(channel)
  return string.sub(channel, 1, 9) == 'presence-'
end

local function is_inbox(channel)
  return string.sub(channel, 1, 1) == '#'
end

-- A channel's subscribers are not as many as they were told last, and no node knows that by itself: one will tell them.
local function recount(app, channel, tell_at)
  if not is_presence(channel) and not is_inbox(channel) then
    redis.call('ZADD', DUE, tell_at, occurrence(app, 'recounted', channel))
  end
end

local function channel_field(app, channel)
  return 'c ' .. app .. ' ' .. channel
end

local function member_field(app, channel, user)
  return 'm ' .. app .. ' ' .. #channel .. ' ' .. channel .. user
end

-- A node has so many subscribers on a channel. Tells how many occurrences are due.
local function hold_channel(lease, app, channel, count, hooked, told)
  local base = base_of(app)
  local due = 0
  if redis.call('HSET', ROOT .. ':held:' .. lease, channel_field(app, channel), '') == 1 then
    if redis.call('EXISTS', base .. ':subs:' .. channel) == 0 then
      redis.call('ZADD', base .. ':channels', 0, channel)
      if hooked and not is_presence(channel) and not is_inbox(channel) then
        due = begin(app, 'channel_occupied', 'channel_vacated', channel, nil, told)
      end
    end
  end
  redis.call('HSET', base .. ':subs:' .. channel, lease, count)
  return due
end

-- A node has no subscribers on a channel any more.
local function drop_channel(lease, app, channel, hooked, tell_at)
  if redis.call('HDEL', ROOT .. ':held:' .. lease, channel_field(app, channel)) == 0 then
    return
  end
  local base = base_of(app)
  redis.call('HDEL', base .. ':subs:' .. channel, lease)
  if redis.call('EXISTS', base .. ':subs:' .. channel) == 0 then
    redis.call('ZREM', base .. ':channels', channel)
    if hooked and not is_presence(channel) and not is_inbox(channel) then
      finish(app, 'channel_vacated', channel, nil, tell_at)
    end
  end
end

-- Tell how many nodes hold a user, where it is more than one or was: a node that is cut off must know it.
local function emit_nodes(base, channel, origin, user, nodes)
  emit(base, channel, '{"k":"held","v":1,"o":' .. cjson.encode(origin) .. ',"u":' .. cjson.encode(user)
    .. ',"n":' .. nodes .. '}')
end

-- A node holds a user on a channel, maybe under the lease before already. Tells whether he is there, whether he is new,
-- and how many occurrences are due.
local function hold_member(lease, before, origin, app, channel, user, info, limit, hooked, told)
  local base = base_of(app)
  if before ~= '' and redis.call('HDEL', ROOT .. ':held:' .. before, member_field(app, channel, user)) == 1 then
    redis.call('HSET', ROOT .. ':held:' .. lease, member_field(app, channel, user), '')
    return true, false, 0
  end
  local roster = base .. ':roster:' .. channel
  local new = redis.call('HEXISTS', roster, user) == 0
  if new and limit > 0 and redis.call('HLEN', roster) >= limit then
    return false, false, 0
  end
  local due = 0
  if redis.call('HSET', ROOT .. ':held:' .. lease, member_field(app, channel, user), '') == 1 then
    local nodes = redis.call('HINCRBY', base .. ':holders:' .. channel, user, 1)
    if not new then
      emit_nodes(base, channel, origin, user, nodes)
    else
      if hooked and is_presence(channel) and redis.call('EXISTS', roster) == 0 then
        due = begin(app, 'channel_occupied', 'channel_vacated', channel, nil, told)
      end
      redis.call('HSET', roster, user, info)
      emit(base, channel, '{"k":"added","v":1,"o":' .. cjson.encode(origin) .. ',"u":' .. cjson.encode(user)
        .. ',"i":' .. info .. '}')
      if hooked and is_presence(channel) then
        due = due + begin(app, 'member_added', 'member_removed', channel, user, told)
      end
    end
  end
  return true, new, due
end

-- List who is on a channel, with his info, and who of them is held by several nodes.
local function picture_of(base, channel)
  local shared = {}
  local holders = redis.call('HGETALL', base .. ':holders:' .. channel)
  for index = 1, #holders, 2 do
    if tonumber(holders[index + 1]) > 1 then
      shared[#shared + 1] = holders[index]
    end
  end
  return {redis.call('HGETALL', base .. ':roster:' .. channel), shared}
end

-- A node holds a user on a channel no more.
local function drop_member(lease, origin, app, channel, user, hooked, tell_at)
  if redis.call('HDEL', ROOT .. ':held:' .. lease, member_field(app, channel, user)) == 0 then
    return
  end
  local base = base_of(app)
  local roster, holders = base .. ':roster:' .. channel, base .. ':holders:' .. channel
  local nodes = redis.call('HINCRBY', holders, user, -1)
  if nodes > 0 then
    emit_nodes(base, channel, origin, user, nodes)
    return
  end
  redis.call('HDEL', holders, user)
  redis.call('HDEL', roster, user)
  emit(base, channel, '{"k":"removed","v":1,"o":' .. cjson.encode(origin) .. ',"u":' .. cjson.encode(user) .. '}')
  if hooked and is_presence(channel) then
    finish(app, 'member_removed', channel, user, tell_at)
    if redis.call('EXISTS', roster) == 0 then
      finish(app, 'channel_vacated', channel, nil, tell_at + 1) -- the last to be told
    end
  end
end

-- A node sends a user away who may come back to another: whoever is there at that later time lets go of him.
local function hand_member(lease, origin, app, channel, user, hooked, let_go_at)
  local at = math.ceil(let_go_at / 1000) * 1000
  local handed = lease .. '~' .. string.format('%.0f', at)
  local field = member_field(app, channel, user)
  if redis.call('HEXISTS', ROOT .. ':held:' .. handed, field) == 1 then
    drop_member(lease, origin, app, channel, user, hooked, let_go_at)
  elseif redis.call('HDEL', ROOT .. ':held:' .. lease, field) == 1 then
    redis.call('HSET', ROOT .. ':held:' .. handed, field, '')
    redis.call('ZADD', ROOT .. ':dead', at, handed)
  end
end
