-- Publish messages of one node, in order, each once: what was taken before is skipped.
-- ARGV[4] origin; then six for each: number, app, channel, envelope, what a cache channel remembers, and for how many ms
-- ("" where it remembers nothing). An empty envelope publishes nothing.

local sequence = ROOT .. ':seq:' .. ARGV[4]
local taken = tonumber(redis.call('GET', sequence) or 0)
local newest = taken
for first = 5, #ARGV, 6 do
  local number, base, channel = tonumber(ARGV[first]), base_of(ARGV[first + 1]), ARGV[first + 2]
  if number > taken then
    newest = number
    if ARGV[first + 3] ~= '' then
      emit(base, channel, ARGV[first + 3])
    end
    if ARGV[first + 4] ~= '' then
      redis.call('SET', base .. ':cache:' .. channel, ARGV[first + 4], 'PX', ARGV[first + 5])
      redis.call('DEL', base .. ':missed:' .. channel)
    end
  end
end
redis.call('SET', sequence, newest, 'PX', 3600000)
