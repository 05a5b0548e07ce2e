#!lua
-- Put an edition of the rules on top of the log, unless another one got there since it was read.
-- KEYS log (list, newest first), editions (hash)
-- ARGV the newest entry as it was read (empty: there was none), the new entry, its hash, its edition, how many to keep
-- Returns 1, or 0 where the log has changed. An entry begins with its hash and a space.
local log, editions = key(), key()
local before, entry, hash, edition, most = arg(), arg(), arg(), arg(), tonumber(arg())
if (redis.call('LINDEX', log, 0) or '') ~= before then return 0 end
redis.call('LPUSH', log, entry)
redis.call('HSET', editions, hash, edition)
if redis.call('LLEN', log) > most then
  redis.call('LTRIM', log, 0, most - 1)
  local used = {}
  for _, kept in ipairs(redis.call('LRANGE', log, 0, -1)) do used[string.match(kept, '^%S+')] = true end
  for _, known in ipairs(redis.call('HKEYS', editions)) do
    if not used[known] then redis.call('HDEL', editions, known) end
  end
end
return 1
