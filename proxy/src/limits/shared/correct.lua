-- A call has used more or fewer tokens than it took.
-- KEYS: the tokens of each of its limits. ARGV: the difference, then tokens a minute of each limit.
local MINUTE, DAY, EPOCH = 60000000, 86400000000, 1767225600
local time = redis.call('TIME')
local now = (time[1] - EPOCH) * 1000000 + time[2]
local more = tonumber(ARGV[1])
for number, key in ipairs(KEYS) do
  local per_minute = tonumber(ARGV[number + 1])
  local full_at = math.max(tonumber(redis.call('GET', key) or '0'), more > 0 and now or 0)
  local owed = math.min(full_at - now + more * MINUTE / per_minute, DAY)
  if owed > 0 then
    redis.call('SET', key, string.format('%.3f', now + owed), 'PX', math.ceil(owed / 1000) + 1)
  else
    redis.call('DEL', key)
  end
end
return 0
