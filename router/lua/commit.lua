#!lua flags=allow-oom
-- What intake made of a batch of facts: new state, events, their deliveries; the head of each intake line is gone.
-- KEYS lane heads leases counts recovered, then per fact: line, state, receipt, and per event: event, its indexes, and per
--      delivery: the listing of its state, and where it is to be sent: lane, heads, line
-- ARGV how many, then per fact: subject, token, state, state's life in ms, source, how many events (the count is of
--      facts that told nothing new where it is 0), and per event: id, type, body, routes,
--      hash of the rules, 1 if only polling told it, names of its indexes, how many indexes, how many deliveries, and per delivery: id, field, record, 1 if it is over
--      already, field of what was rendered, that (empty: nothing was), subject (empty: it is not to be sent now)
-- Returns per fact 0 (the lease was lost: nothing done), 1 (done), 2 (done, and the next fact of the line is due).
local lane, heads, leases, counts, recovered = key(), key(), key(), key(), key()
local now = now_ms()
local answers = {}
for i = 1, tonumber(arg()) do
  local line, state, receipt = key(), key(), key()
  local subject, token, new_state, life, source, events = arg(), arg(), arg(), arg(), arg(), tonumber(arg())
  local mine = redis.call('HGET', leases, subject) == token
  local ids = {}
  for e = 1, events do
    local event = key()
    local id, event_type, body, routes, rules, is_recovered = arg(), arg(), arg(), arg(), arg(), arg()
    local names, indexes, deliveries = arg(), tonumber(arg()), tonumber(arg())
    ids[e] = id
    local open = 0
    if mine then
      redis.call('HSET', event, 'body', body, 'routes', routes, 'rules', rules, 'receipt', receipt, 'index', names)
      redis.call('HINCRBY', counts, source .. ' ' .. event_type, 1)
      if is_recovered ~= '' then
        redis.call('HINCRBY', counts, source .. ' recovered', 1)
        redis.call('HSET', recovered, source, num(now))
      end
    end
    for _ = 1, indexes do
      local index = key()
      if mine then redis.call('ZADD', index, num(now), id) end
    end
    for _ = 1, deliveries do
      local listing = key()
      local delivery, field, record, over, rendered, body, target = arg(), arg(), arg(), arg(), arg(), arg(), arg()
      if over == '0' then open = open + 1 end
      if mine then
        redis.call('HSET', event, field, record)
        if body ~= '' then redis.call('HSET', event, rendered, body) end
        redis.call('ZADD', listing, num(now), delivery)
      end
      if target ~= '' then
        local sink_lane, sink_heads, sink_line = key(), key(), key()
        if mine then append(sink_lane, sink_heads, sink_line, target, delivery, now) end
      end
    end
    if mine then redis.call('HSET', event, 'open', open) end
  end
  if mine then
    redis.call('SET', state, new_state, 'PX', life)
    if events == 0 then redis.call('HINCRBY', counts, source .. ' unchanged', 1) end
    if redis.call('EXISTS', receipt) == 1 then
      redis.call('HINCRBY', receipt, 'waiting', -1)
      if events > 0 then
        local before = redis.call('HGET', receipt, 'events')
        redis.call('HSET', receipt, 'events', (before and before .. ' ' or '') .. table.concat(ids, ' '))
      end
    end
    redis.call('HDEL', leases, subject)
    answers[i] = advance(lane, heads, line, subject, now) and 2 or 1
  else
    answers[i] = 0
  end
end
return answers
