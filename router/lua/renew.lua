#!lua flags=allow-oom
-- Extend leases that still hold.
-- KEYS lane leases   ARGV lease in ms, then per subject: subject, token
-- Returns per subject 1 (extended) or 0 (somebody else's by now).
local lane, leases = key(), key()
local lease = tonumber(arg())
local ends = num(now_ms() + lease)
local answers = {}
for i = 1, (#ARGV - 1) / 2 do
  local subject, token = arg(), arg()
  if redis.call('HGET', leases, subject) == token then
    redis.call('ZADD', lane, ends, subject)
    answers[i] = 1
  else
    answers[i] = 0
  end
end
return answers
