#!lua
-- Keep a batch of receipts and append their facts to the intake lane. No allow-oom: a full server takes nothing new.
-- KEYS lane heads receipts counts, then per receipt: receipt, and the line of each fact
-- ARGV how many, then per receipt: id, record, body, source, disposition, how many facts, and per fact:
--      subject, item
-- Returns per receipt 1 (kept) or 0 (known already).
local lane, heads, receipts, counts = key(), key(), key(), key()
local now = now_ms()
local answers = {}
for i = 1, tonumber(arg()) do
  local receipt = key()
  local id, record, body, source, disposition, facts = arg(), arg(), arg(), arg(), arg(), tonumber(arg())
  local known = redis.call('EXISTS', receipt) == 1
  for _ = 1, facts do
    local line, subject, item = key(), arg(), arg()
    if not known then
      append(lane, heads, line, subject, item, now)
    end
  end
  if known then
    redis.call('HINCRBY', counts, source .. ' duplicate', 1)
    answers[i] = 0
  else
    redis.call('HINCRBY', counts, source .. ' ' .. disposition, 1)
    redis.call('ZADD', receipts, num(now), id)
    -- what duplicates are recognised by comes last: a script that broke off before it is simply repeated
    redis.call('HSET', receipt, 'record', record, 'body', body, 'waiting', facts)
    answers[i] = 1
  end
end
return answers
