#!lua
-- Let deliveries of one sink be tried again: what is not on its way goes to the tail of its line, what waits for its
-- next attempt is due now.
-- KEYS lane heads leases, listing of what is pending, then per delivery: line, event, listing of its state so far
-- ARGV how many, then per delivery: subject, id, field, record as it was read, new record, 1 if it is in its line, 1 if
--      it was over
-- Returns per delivery 0 (it is not as it was read: nothing done), 1 (back in its line), 2 (due now), 3 (another one of
-- its line goes first: nothing done), 4 (somebody sends it now: nothing done).
local lane, heads, leases, pending = key(), key(), key(), key()
local now = now_ms()
local answers = {}
for i = 1, tonumber(arg()) do
  local line, event, listing = key(), key(), key()
  local subject, delivery, field, before, record, waits, over = arg(), arg(), arg(), arg(), arg(), arg(), arg()
  if redis.call('HGET', event, field) ~= before then
    answers[i] = 0
  elseif waits == '0' then
    redis.call('HSET', event, field, record)
    if over == '1' then redis.call('HINCRBY', event, 'open', 1) end
    redis.call('ZREM', listing, delivery)
    redis.call('ZADD', pending, num(now), delivery)
    append(lane, heads, line, subject, delivery, now)
    answers[i] = 1
  elseif redis.call('HGET', heads, subject) ~= delivery then
    answers[i] = 3
  elseif redis.call('HEXISTS', leases, subject) == 1 then
    answers[i] = 4
  else
    redis.call('HSET', event, field, record)
    redis.call('ZADD', lane, num(now), subject)
    answers[i] = 2
  end
end
return answers
