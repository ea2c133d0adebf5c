-- What all scripts share. The keys of an app:
--
--   APP:log              stream of what was published: c(hannel), e(nvelope); bounded
--   APP:ends             hash: `end`, the position of the last entry; `trimmed`, of the last that gave way
--   APP:last:CHANNEL     position of the channel's last entry; forgotten after the retention
--   APP:subs:CHANNEL     hash: lease -> how many subscribers that node has
--   APP:channels         sorted set of the occupied channels, by name
--   APP:roster:CHANNEL   hash: user -> his info, of the first that brought him
--   APP:holders:CHANNEL  hash: user -> how many nodes hold him
--   APP:due              sorted set: occurrences the app is to be told of, by the time when
--
-- and those of the deployment:
--
--   ROOT:nodes           sorted set: lease -> when it ends
--   ROOT:dead            sorted set: lease that ended -> from when its members' endings may be told
--   ROOT:born            when Redis first heard of the deployment: later than its nodes where Redis came back empty
--   ROOT:beaten          when a node last renewed its lease
--   ROOT:held:LEASE      hash: all that a node holds, so that survivors can let go of it
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
  local position = redis.call('XADD', log, '*', 'c', channel, 'e', envelope)
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

local function occurrence(name, channel, user)
  return cjson.encode({name, channel, user or ''})
end

-- Something began: the app is told at once, unless that undoes an ending nobody was told of yet.
local function begin(base, name, ending, channel, user, told)
  if redis.call('ZREM', base .. ':due', occurrence(ending, channel, user)) == 0 and not told then
    redis.call('ZADD', base .. ':due', now(), occurrence(name, channel, user))
    return 1
  end
  return 0
end

-- Something ended: the app is told when the grace is over.
local function finish(base, name, channel, user, tell_at)
  redis.call('ZADD', base .. ':due', tell_at, occurrence(name, channel, user))
end

local function is_presence(channel)
  return string.sub(channel, 1, 9) == 'presence-'
end

local function is_inbox(channel)
  return string.sub(channel, 1, 1) == '#'
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
        due = begin(base, 'channel_occupied', 'channel_vacated', channel, nil, told)
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
      finish(base, 'channel_vacated', channel, nil, tell_at)
    end
  end
end

-- A node holds a user on a channel. Tells whether he is there, whether he is new, and how many occurrences are due.
local function hold_member(lease, origin, app, channel, user, info, limit, hooked, told)
  local base = base_of(app)
  local roster = base .. ':roster:' .. channel
  local new = redis.call('HEXISTS', roster, user) == 0
  if new and limit > 0 and redis.call('HLEN', roster) >= limit then
    return false, false, 0
  end
  local due = 0
  if redis.call('HSET', ROOT .. ':held:' .. lease, member_field(app, channel, user), '') == 1 then
    redis.call('HINCRBY', base .. ':holders:' .. channel, user, 1)
    if new then
      if hooked and is_presence(channel) and redis.call('EXISTS', roster) == 0 then
        due = begin(base, 'channel_occupied', 'channel_vacated', channel, nil, told)
      end
      redis.call('HSET', roster, user, info)
      emit(base, channel, '{"k":"added","v":1,"o":' .. cjson.encode(origin) .. ',"u":' .. cjson.encode(user)
        .. ',"i":' .. info .. '}')
      if hooked and is_presence(channel) then
        due = due + begin(base, 'member_added', 'member_removed', channel, user, told)
      end
    end
  end
  return true, new, due
end

-- A node holds a user on a channel no more.
local function drop_member(lease, origin, app, channel, user, hooked, tell_at)
  if redis.call('HDEL', ROOT .. ':held:' .. lease, member_field(app, channel, user)) == 0 then
    return
  end
  local base = base_of(app)
  local roster, holders = base .. ':roster:' .. channel, base .. ':holders:' .. channel
  if redis.call('HINCRBY', holders, user, -1) > 0 then
    return
  end
  redis.call('HDEL', holders, user)
  redis.call('HDEL', roster, user)
  emit(base, channel, '{"k":"removed","v":1,"o":' .. cjson.encode(origin) .. ',"u":' .. cjson.encode(user) .. '}')
  if hooked and is_presence(channel) then
    finish(base, 'member_removed', channel, user, tell_at)
    if redis.call('EXISTS', roster) == 0 then
      finish(base, 'channel_vacated', channel, nil, tell_at + 1) -- the last to be told
    end
  end
end
