#!lua flags=allow-oom
-- How many attempts at a sink may begin and when, for all workers together.
-- KEYS gate   ARGV how many at most, ms between two as configured (0: no limit), ms ahead of now to reserve at most,
--      ms that a probe may take, longest pause between probes in ms
-- Returns {state, ms to wait, then per attempt: ms from now}; while the state is not empty the only attempt is a probe.
local gate = key()
local most, configured, ahead, probing, longest = tonumber(arg()), tonumber(arg()), tonumber(arg()), tonumber(arg()), tonumber(arg())
local now = now_ms()
local found = redis.call('HMGET', gate, 'state', 'probe_at', 'interval', 'free_at')
local state = found[1]
if state then
  local wait = tonumber(found[2]) - now
  -- no pause is that long: the server's clock was set back
  if wait > 0 and wait <= 2 * longest + probing then return {state, num(math.ceil(wait))} end
  redis.call('HSET', gate, 'probe_at', num(now + probing))
  return {state, '0', '0'}
end
local interval = math.max(configured, tonumber(found[3] or 0))
local at = math.max(now, tonumber(found[4] or 0))
if at > now + 86400000 + interval then at = now end -- likewise
local answer = {'', '0'}
while #answer < most + 2 and at <= now + ahead do
  answer[#answer + 1] = string.format('%.3f', at - now)
  at = at + interval
end
if interval > 0 and #answer > 2 then redis.call('HSET', gate, 'free_at', string.format('%.3f', at)) end
if #answer == 2 then answer[2] = num(math.ceil(at - now - ahead)) end
return answer
