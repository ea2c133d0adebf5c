-- Recall a cache channel's last event. ARGV: [4] app, [5] channel.
-- Answers the event or "", for how many milliseconds it lives, and the position of what was published last.

local base, channel = base_of(ARGV[4]), ARGV[5]
local key = base .. ':cache:' .. channel
return {redis.call('GET', key) or '', redis.call('PTTL', key), redis.call('GET', base .. ':last:' .. channel) or ''}
