-- Change what a node holds, in order.
-- ARGV: [4] origin, [5] lease, [6] where the node states everything its lease before, which lets go of each thing as
-- this one takes it, else "",
-- [7] milliseconds of grace, [8] JSON: a list of
--   ["channel", app, hooked, told, channel, subscribers, whether these are told how many they are, and may have been
--     told wrongly]
--   ["enter", app, hooked, told, channel, user, info, most users, whether the roster is wanted]
--   ["leave", app, hooked, told, channel, user]
--   ["hand", app, hooked, told, channel, user, milliseconds after which it is a "leave"]
-- Answers -1 where the lease has ended: its node hears that from its next beat, and states everything again. Else
-- how many occurrences are due, and for each "enter" {there, new, position, picture}.

local origin, lease, before = ARGV[4], ARGV[5], ARGV[6]
if not redis.call('ZSCORE', ROOT .. ':nodes', lease) then
  return {-1, {}}
end
local tell_at = now() + tonumber(ARGV[7])
local due, answers = 0, {}
for _, change in ipairs(cjson.decode(ARGV[8])) do
  local kind, app, hooked, told, channel = change[1], change[2], change[3], change[4], change[5]
  if kind == 'channel' then
    if change[6] > 0 then
      due = due + hold_channel(lease, app, channel, change[6], hooked, told)
    else
      drop_channel(lease, app, channel, hooked, tell_at)
    end
    if before ~= '' then
      local known = tonumber(redis.call('HGET', base_of(app) .. ':subs:' .. channel, before))
      if change[7] and (change[8] or not told and known ~= change[6]) then
        recount(app, channel, tell_at)
      end
      drop_channel(before, app, channel, hooked, tell_at)
    end
  elseif kind == 'enter' then
    local user = change[6]
    local there, new, more = hold_member(
      lease, before, origin, app, channel, user, change[7], change[8], hooked, told
    )
    due = due + more
    local position = redis.call('GET', base_of(app) .. ':last:' .. channel) or ''
    local picture = change[9] and picture_of(base_of(app), channel) or {}
    answers[#answers + 1] = {there and 1 or 0, new and 1 or 0, position, picture}
  elseif kind == 'hand' then
    hand_member(lease, origin, app, channel, change[6], hooked, now() + change[7])
  else
    drop_member(lease, origin, app, channel, change[6], hooked, tell_at)
  end
end
return {due, answers}
