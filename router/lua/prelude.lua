-- Put in front of every script. A lane is three keys: LANE (sorted set: subject -> when to look next, ms), HEADS
-- (hash: subject -> first item of its line) and LEASES (hash: subject -> fencing token of who works on it). What
-- waits behind a head is in the subject's own LINE (list). A subject is in LANE exactly while it has a head.

-- Time is only ever the server's. Numbers go through %.0f: Lua would write large ones with an exponent.
local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function num(n)
  return string.format('%.0f', n)
end

local function append(lane, heads, line, subject, item, now)
  if redis.call('HSETNX', heads, subject, item) == 1 then
    redis.call('ZADD', lane, num(now), subject)
  else
    redis.call('RPUSH', line, item)
  end
end

-- Who works for a sink takes the newest first, and those shall be live: what goes on or is replayed stands behind them,
-- as if it had been due for so long already.
local BEHIND_LIVE = 60000

-- The head of the line is done with: the next one moves up and is due. Returns whether there is a next one.
local function advance(lane, heads, line, subject, now)
  local item = redis.call('LPOP', line)
  if item then
    redis.call('HSET', heads, subject, item)
    redis.call('ZADD', lane, num(now), subject)
    return true
  end
  redis.call('HDEL', heads, subject)
  redis.call('ZREM', lane, subject)
  return false
end

-- Arguments are read in order; keys likewise.
local next_key, next_arg = 0, 0
local function key() next_key = next_key + 1; return KEYS[next_key] end
local function arg() next_arg = next_arg + 1; return ARGV[next_arg] end
