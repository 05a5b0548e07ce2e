#!lua
-- Keep a batch of receipts and append their facts to the intake lane. No allow-oom: a full server takes nothing new.
-- KEYS lane heads receipts counts seen, then per receipt: receipt, its source's drift, and the line of each fact
-- ARGV how many, then per receipt: id, record, body, source, disposition, how many facts, and per fact:
--      subject, item
-- Returns per receipt 1 (kept), 0 (known already) or an error, with which it fails alone.
local lane, heads, receipts, counts, seen = key(), key(), key(), key(), key()
local now = now_ms()

local function keep(receipt, drift, id, record, body, source, disposition, facts)
  if redis.call('EXISTS', receipt) == 1 then
    redis.call('HINCRBY', counts, source .. ' duplicate', 1)
    return 0
  end
  for _, fact in ipairs(facts) do
    append(lane, heads, fact.line, fact.subject, fact.item, now)
  end
  redis.call('HINCRBY', counts, source .. ' ' .. disposition, 1)
  redis.call('HSET', seen, source, num(now))
  redis.call('ZADD', receipts, num(now), id)
  if disposition == 'drift' then redis.call('ZADD', drift, num(now), id) end
  -- what duplicates are recognised by comes last: what broke off before it is simply sent again
  redis.call('HSET', receipt, 'record', record, 'body', body, 'waiting', #facts)
  return 1
end

local answers = {}
for i = 1, tonumber(arg()) do
  local receipt, drift = key(), key()
  local id, record, body, source, disposition = arg(), arg(), arg(), arg(), arg()
  local facts = {}
  for f = 1, tonumber(arg()) do
    facts[f] = {line = key(), subject = arg(), item = arg()}
  end
  local done, answer = pcall(keep, receipt, drift, id, record, body, source, disposition, facts)
  -- Redis raises tables, Valkey texts
  answers[i] = done and answer or redis.error_reply(type(answer) == 'table' and answer.err or answer)
end
return answers
