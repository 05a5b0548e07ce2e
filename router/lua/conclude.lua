#!lua
-- Take deliveries of one sink out of their lines, and let what waits behind them move up.
-- KEYS lane heads leases, listings of what is pending and of what is retrying, then per delivery: line, event, listings of
--      its state so far and of its new state
-- ARGV how many, then per delivery: subject, id, field, record as it was read, new record, 1 if it is in its line, 1 if
--      it was over
-- Returns per delivery 0 (it is not as it was read: nothing done), 1 (done), 4 (somebody sends it now: nothing done).
local lane, heads, leases, pending, retrying = key(), key(), key(), key(), key()
local now = now_ms()
local answers = {}
for i = 1, tonumber(arg()) do
  local line, event, listing, listing_now = key(), key(), key(), key()
  local subject, delivery, field, before, record, waits, over = arg(), arg(), arg(), arg(), arg(), arg(), arg()
  local is_head = waits == '1' and redis.call('HGET', heads, subject) == delivery
  if redis.call('HGET', event, field) ~= before then
    answers[i] = 0
  elseif is_head and redis.call('HEXISTS', leases, subject) == 1 then
    answers[i] = 4
  else
    if is_head then
      advance(lane, heads, line, subject, now - BEHIND_LIVE)
    elseif waits == '1' then
      redis.call('LREM', line, 1, delivery)
    end
    redis.call('HSET', event, field, record)
    if over == '0' then redis.call('HINCRBY', event, 'open', -1) end
    redis.call('ZREM', pending, delivery)
    redis.call('ZREM', retrying, delivery)
    redis.call('ZREM', listing, delivery)
    redis.call('ZADD', listing_now, num(now), delivery)
    answers[i] = 1
  end
end
return answers
