-- Take what apps are to be told now; acknowledge what they were told.
-- ARGV: [4] lease, [5] how many, [6] JSON: list of [lease, occurrence] that were told, [7] JSON: {app: true} of those
-- that this node tells, [8] JSON: the same of those whose subscribers it tells how many they are.
-- Answers occurrences. What a node took and did not acknowledge goes back when its lease ends.

local STRAY = 60000 -- for so long what this node would not tell is left to others, whose settings may be newer or older
local LOOKS = 10

local lease, most, time = ARGV[4], tonumber(ARGV[5]), now()
local tells, counts = cjson.decode(ARGV[7]), cjson.decode(ARGV[8])
for _, told in ipairs(cjson.decode(ARGV[6])) do
  redis.call('HDEL', ROOT .. ':held:' .. told[1], 't  ' .. told[2])
end
if not redis.call('ZSCORE', ROOT .. ':nodes', lease) then
  return {}
end

local function is_for_others(each)
  local readable, parts = pcall(cjson.decode, each)
  if not (readable and type(parts) == 'table' and type(parts[1]) == 'string') then
    return false
  end
  local mine = parts[2] == 'recounted' and counts or tells
  return not mine[parts[1]]
end

local claimed, left = {}, 0
for _ = 1, LOOKS do
  local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', time, 'WITHSCORES', 'LIMIT', left, most - #claimed)
  for index = 1, #due, 2 do
    if tonumber(due[index + 1]) > time - STRAY and is_for_others(due[index]) then
      left = left + 1
    else
      redis.call('ZREM', DUE, due[index])
      redis.call('HSET', ROOT .. ':held:' .. lease, 't  ' .. due[index], '')
      claimed[#claimed + 1] = due[index]
    end
  end
  if #due == 0 or #claimed == most then
    break
  end
end
return claimed
