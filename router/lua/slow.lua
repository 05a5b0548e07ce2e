#!lua flags=allow-oom
-- A sink said that it gets too much: twice as long between attempts, at most once in a while, as what is on its way
-- hears the same.
-- KEYS gate   ARGV ms between attempts as configured, least and longest in ms, ms that it asked to be left alone
local gate = key()
local configured, least, longest, pause = tonumber(arg()), tonumber(arg()), tonumber(arg()), tonumber(arg())
local now = now_ms()
local found = redis.call('HMGET', gate, 'interval', 'slowed_at', 'free_at')
local interval = math.max(configured, tonumber(found[1] or 0))
if now - tonumber(found[2] or 0) >= math.max(1000, interval) then
  interval = math.min(longest, math.max(least, 2 * interval))
  redis.call('HSET', gate, 'interval', string.format('%.3f', interval), 'slowed_at', num(now))
end
redis.call('HSET', gate, 'free_at', string.format('%.3f', math.max(tonumber(found[3] or 0), now + pause)))
-- what a sink bore long ago says little; of one that fails nothing is forgotten
if redis.call('HEXISTS', gate, 'state') == 0 then redis.call('PEXPIRE', gate, math.ceil(600000 + pause)) end
return interval
