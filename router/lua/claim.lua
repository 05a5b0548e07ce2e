#!lua flags=allow-oom
-- Lease subjects that are due, each under a new fencing token.
-- KEYS lane heads leases tokens   ARGV how many at most, how many of them the newest (the rest are the oldest), lease in
--      ms, furthest possible score from now in ms
-- Returns {ms until the next subject is due or -1, then per subject: subject, token, head, 1 if reclaimed}
local lane, heads, leases, tokens = key(), key(), key(), key()
local most, newest, lease, furthest = tonumber(arg()), tonumber(arg()), tonumber(arg()), tonumber(arg())
local now = now_ms()
local due, taken = {}, {}
local function take(subjects)
  for _, subject in ipairs(subjects) do
    if #due < most and not taken[subject] then
      taken[subject] = true
      due[#due + 1] = subject
    end
  end
end
if newest > 0 then take(redis.call('ZREVRANGEBYSCORE', lane, num(now), '-inf', 'LIMIT', 0, newest)) end
take(redis.call('ZRANGEBYSCORE', lane, '-inf', num(now), 'LIMIT', 0, most))
if #due < most then
  -- nothing is ever put that far ahead: the server's clock was set back, so these count as due
  local stranded = redis.call('ZRANGEBYSCORE', lane, '(' .. num(now + furthest), '+inf', 'LIMIT', 0, most - #due)
  for _, subject in ipairs(stranded) do due[#due + 1] = subject end
end
local answer = {-1}
for _, subject in ipairs(due) do
  local head = redis.call('HGET', heads, subject)
  if head then
    local reclaimed = redis.call('HEXISTS', leases, subject)
    local token = num(redis.call('INCR', tokens))
    redis.call('HSET', leases, subject, token)
    redis.call('ZADD', lane, num(now + lease), subject)
    answer[#answer + 1] = subject
    answer[#answer + 1] = token
    answer[#answer + 1] = head
    answer[#answer + 1] = reclaimed
  else
    redis.call('ZREM', lane, subject)
    redis.call('HDEL', leases, subject)
  end
end
local first = redis.call('ZRANGE', lane, 0, 0, 'WITHSCORES')
if first[2] then
  answer[1] = math.max(0, tonumber(first[2]) - now)
end
return answer
