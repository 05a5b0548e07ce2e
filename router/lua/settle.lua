#!lua flags=allow-oom
-- How a batch of deliveries of one sink went.
-- KEYS lane heads leases, then per delivery: line, event
-- ARGV how many, then per delivery: subject, token, field, record, ms until the next attempt (-1: there is none)
-- Returns per delivery 0 (the lease was lost: nothing done), 1 (done), 2 (done, and the next of the line is due).
local lane, heads, leases = key(), key(), key()
local now = now_ms()
local answers = {}
for i = 1, tonumber(arg()) do
  local line, event = key(), key()
  local subject, token, field, record, wait = arg(), arg(), arg(), arg(), tonumber(arg())
  if redis.call('HGET', leases, subject) ~= token then
    answers[i] = 0
  else
    local known = redis.call('EXISTS', event) == 1
    if known then redis.call('HSET', event, field, record) end
    redis.call('HDEL', leases, subject)
    if wait >= 0 then
      redis.call('ZADD', lane, num(now + wait), subject)
      answers[i] = 1
    else
      if known then redis.call('HINCRBY', event, 'open', -1) end
      answers[i] = advance(lane, heads, line, subject, now) and 2 or 1
    end
  end
end
return answers
