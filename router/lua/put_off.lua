#!lua flags=allow-oom
-- Give leases back without the work being done; the subjects are due again later.
-- KEYS lane leases   ARGV per subject: subject, token, wait in ms
-- Returns per subject 1 (given back) or 0 (somebody else's by now).
local lane, leases = key(), key()
local now = now_ms()
local answers = {}
for i = 1, #ARGV / 3 do
  local subject, token, wait = arg(), arg(), tonumber(arg())
  if redis.call('HGET', leases, subject) == token then
    redis.call('HDEL', leases, subject)
    redis.call('ZADD', lane, num(now + wait), subject)
    answers[i] = 1
  else
    answers[i] = 0
  end
end
return answers
