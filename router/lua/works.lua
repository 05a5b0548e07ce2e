#!lua flags=allow-oom
-- Attempts at a sink succeeded: a probe closes its breaker, and what was slowed down gets faster.
-- KEYS gate   ARGV how many, 1 if it was a probe, share of the pause between attempts that each success leaves, ms below
--      which no pause is needed, ms between attempts right after a breaker closed
-- Returns 1 (the breaker closed), 0 (it was closed).
local gate = key()
local many, probe, left, least, begin = tonumber(arg()), arg(), tonumber(arg()), tonumber(arg()), arg()
if probe == '1' and redis.call('HEXISTS', gate, 'state') == 1 then
  redis.call('HDEL', gate, 'state', 'since', 'reason', 'failures', 'probe_at')
  redis.call('HSET', gate, 'interval', begin)
  redis.call('PEXPIRE', gate, 600000) -- without anything to send it would be slow for ever
  return 1
end
local interval = redis.call('HGET', gate, 'interval')
if interval then
  local shorter = tonumber(interval) * left ^ many
  if shorter < least then
    redis.call('HDEL', gate, 'interval', 'slowed_at')
  else
    redis.call('HSET', gate, 'interval', string.format('%.3f', shorter))
  end
end
return 0
