#!lua flags=allow-oom
-- Forget one receipt and its events, unless a fact or a delivery of it still waits.
-- KEYS receipts receipt, then its events, then indexes that they or the receipt may be in
-- ARGV id, the receipt's list of events as the caller read it, ms for which duplicates must still be recognised, ms from
--      now to the time under which it is listed when something waits, how many events, then per index: as what it is
--      in there
-- Returns 1 (forgotten) or 0 (something waits: looked at again later).
local receipts, receipt = key(), key()
local id, events, remember, put_off, many = arg(), arg(), tonumber(arg()), tonumber(arg()), tonumber(arg())
local waiting = tonumber(redis.call('HGET', receipt, 'waiting') or 0)
for i = 3, 2 + many do
  waiting = waiting + tonumber(redis.call('HGET', KEYS[i], 'open') or 0)
end
if waiting > 0 or (redis.call('HGET', receipt, 'events') or '') ~= events then
  redis.call('ZADD', receipts, num(now_ms() + put_off), id)
  return 0
end
redis.call('ZREM', receipts, id)
redis.call('DEL', unpack(KEYS, 2, 2 + many))
for i = 3 + many, #KEYS do
  redis.call('ZREM', KEYS[i], arg())
end
if remember > 0 then
  redis.call('HSET', receipt, 'gone', 1)
  redis.call('PEXPIRE', receipt, num(remember))
end
return 1
