-- Keeps the places of running calls.
-- KEYS: who runs, of one limit after the other. ARGV: how long places are kept, microseconds; 1 to
-- take places that are not there; then the call of each key.
-- Answers the numbers of the keys in which the call has no place.
local EPOCH = 1767225600
local time = redis.call('TIME')
local now = (time[1] - EPOCH) * 1000000 + time[2]
local kept, lost = tonumber(ARGV[1]), {}
for number, key in ipairs(KEYS) do
  local call = ARGV[number + 2]
  if ARGV[2] == '1' or redis.call('ZSCORE', key, call) then
    redis.call('ZADD', key, now + kept, call)
    redis.call('PEXPIRE', key, math.ceil(kept / 1000) + 1)
  else
    lost[#lost + 1] = number
  end
end
return lost
