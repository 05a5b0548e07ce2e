#!lua flags=allow-oom
-- A sink fails: keep everybody off it, but for one probe at a time with growing pauses.
-- KEYS gate   ARGV state (open or parked), reason, 1 if a probe failed, first pause in ms, longest pause in ms, what to
--      stretch the pause by
-- Returns 1 (it was closed until now), 0 (it was not).
local gate = key()
local state, reason, probe, first, longest, stretch = arg(), arg(), arg(), tonumber(arg()), tonumber(arg()), tonumber(arg())
local now = now_ms()
local before = redis.call('HGET', gate, 'state')
if before == state and probe == '0' then return 0 end
if not before then
  redis.call('HSET', gate, 'since', num(now))
  redis.call('HDEL', gate, 'failures')
end
local failures = redis.call('HINCRBY', gate, 'failures', 1)
redis.call('PERSIST', gate)
local pause = math.min(longest, first * 2 ^ math.min(failures - 1, 30)) * stretch
redis.call('HSET', gate, 'state', state, 'reason', reason, 'probe_at', num(now + pause))
return before and 0 or 1
