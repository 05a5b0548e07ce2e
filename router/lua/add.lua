#!lua
-- Append further deliveries of stored events to the lane of one sink.
-- KEYS lane heads, then per delivery: line, event, listing of its state
-- ARGV how many, then per delivery: subject (empty: it is not to be sent now), id, field, record, field of what was
--      rendered, that (empty: nothing was)
-- Returns per delivery 1 (appended) or 0 (it is there already, or its event is gone: nothing done).
local lane, heads = key(), key()
local now = now_ms()
local answers = {}
for i = 1, tonumber(arg()) do
  local line, event, listing = key(), key(), key()
  local subject, delivery, field, record, rendered, body = arg(), arg(), arg(), arg(), arg(), arg()
  if redis.call('HEXISTS', event, 'body') == 0 or redis.call('HEXISTS', event, field) == 1 then
    answers[i] = 0
  else
    redis.call('HSET', event, field, record)
    redis.call('HINCRBY', event, 'open', 1)
    if body ~= '' then redis.call('HSET', event, rendered, body) end
    redis.call('ZADD', listing, num(now), delivery)
    if subject ~= '' then append(lane, heads, line, subject, delivery, now - BEHIND_LIVE) end
    answers[i] = 1
  end
end
return answers
