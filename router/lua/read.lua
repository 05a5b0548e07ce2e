#!lua flags=no-writes
-- One field of each of many hashes, and one that all of them have: far cheaper than a command for each.
-- KEYS the hashes   ARGV the common field, then per hash: its own field
-- Returns per hash: its own field, the common field; false where there is none
local common = arg()
local answers = {}
for i = 1, #KEYS do
  local found = redis.call('HMGET', key(), arg(), common)
  answers[2 * i - 1], answers[2 * i] = found[1], found[2]
end
return answers
