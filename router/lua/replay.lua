#!lua
-- A receipt that was drift makes sense by now: its facts go to intake, once.
-- KEYS lane heads counts receipt drift, then the line of each fact
-- ARGV id of the receipt, its record as it was read, its new record, what to count it as, how many facts, and per fact:
--      subject, item
-- Returns 1 (done) or 0 (it is not as it was read: nothing done).
local lane, heads, counts, receipt, drift = key(), key(), key(), key(), key()
local id, before, record, counted = arg(), arg(), arg(), arg()
local facts = tonumber(arg())
if redis.call('HGET', receipt, 'record') ~= before then return 0 end
local now = now_ms()
redis.call('HSET', receipt, 'record', record)
redis.call('HINCRBY', receipt, 'waiting', facts)
redis.call('HINCRBY', counts, counted, 1)
redis.call('ZREM', drift, id)
for _ = 1, facts do
  local line = key()
  local subject, item = arg(), arg()
  append(lane, heads, line, subject, item, now)
end
return 1
