#!lua
-- Keep a batch of receipts and append their facts to the intake lane. No allow-oom: a full server takes nothing new.
-- KEYS lane heads receipts counts seen, then per receipt: receipt, its source's drift, the line of each fact, and for a
--      polled row: the hash of what was seen
-- ARGV how many, then per receipt: id, record, body, source, disposition, how many facts, per fact: subject, item; then
--      what was polled (empty: it is a webhook), and how it was seen
-- Returns per receipt 1 (kept), 0 (known already) or an error, with which it fails alone.
local lane, heads, receipts, counts, seen = key(), key(), key(), key(), key()
local now = now_ms()

local function keep(receipt, drift, id, record, body, source, disposition, facts, row)
  if row then redis.call('HSET', row.seen, row.subject, row.value) end
  if redis.call('EXISTS', receipt) == 1 then
    redis.call('HINCRBY', counts, source .. ' duplicate', 1) -- a write, so that replicas are waited for here as well
    return 0
  end
  for _, fact in ipairs(facts) do
    append(lane, heads, fact.line, fact.subject, fact.item, now)
  end
  if row then
    redis.call('HINCRBY', counts, source .. ' polled', 1)
  else
    redis.call('HINCRBY', counts, source .. ' ' .. disposition, 1)
    redis.call('HSET', seen, source, num(now))
  end
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
  local polled, value = arg(), arg()
  local row = polled ~= '' and {subject = polled, value = value, seen = key()} or nil
  local done, answer = pcall(keep, receipt, drift, id, record, body, source, disposition, facts, row)
  -- Redis raises tables, Valkey texts
  answers[i] = done and answer or redis.error_reply(type(answer) == 'table' and answer.err or answer)
end
return answers
