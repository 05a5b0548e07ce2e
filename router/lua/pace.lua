#!lua flags=allow-oom
-- When one more attempt at a target may begin. What comes too early is told when to come back, one after another.
-- KEYS pace   ARGV ms between attempts, ms ahead of now to reserve at most
-- Returns {1, ms until it may begin} (reserved) or {0, ms until it is worth asking again}
local pace = key()
local interval, ahead = tonumber(arg()), tonumber(arg())
local now = now_ms()
local found = redis.call('HMGET', pace, 'free_at', 'back_at')
local at = math.max(now, tonumber(found[1] or 0))
local back = math.max(at, tonumber(found[2] or 0))
local reserved = at <= now + ahead
if reserved then
  redis.call('HSET', pace, 'free_at', num(at + interval))
else
  redis.call('HSET', pace, 'back_at', num(back + interval))
end
redis.call('PEXPIRE', pace, num(back + interval - now + 60000))
return reserved and {1, num(at - now)} or {0, num(back - now)}
