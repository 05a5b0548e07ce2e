#!lua flags=allow-oom
-- How a batch of deliveries of one sink went.
-- KEYS lane heads leases, listings of what is pending and of what is retrying, then per delivery: line, event, listing
--      of its new state
-- ARGV how many, then per delivery: subject, token, id, field, record, ms until the next attempt (-1: there is
--      none), 1 if it is over
-- Returns per delivery 0 (the lease was lost: nothing done), 1 (done), 2 (done, and the next of the line is due).
local lane, heads, leases, pending, retrying = key(), key(), key(), key(), key()
local now = now_ms()
local answers = {}
for i = 1, tonumber(arg()) do
  local line, event, listing = key(), key(), key()
  local subject, token, delivery, field, record, wait, over = arg(), arg(), arg(), arg(), arg(), tonumber(arg()), arg()
  if redis.call('HGET', leases, subject) ~= token then
    answers[i] = 0
  else
    local known = redis.call('EXISTS', event) == 1
    if known then redis.call('HSET', event, field, record) end
    redis.call('HDEL', leases, subject)
    if wait >= 0 then
      redis.call('ZADD', lane, num(now + wait), subject)
      if known then redis.call('ZADD', retrying, num(now), delivery) end
      answers[i] = 1
    else
      redis.call('ZREM', pending, delivery)
      redis.call('ZREM', retrying, delivery)
      if known then
        if over == '1' then redis.call('HINCRBY', event, 'open', -1) end
        redis.call('ZADD', listing, num(now), delivery)
      end
      answers[i] = advance(lane, heads, line, subject, now - BEHIND_LIVE) and 2 or 1
    end
  end
end
return answers
