-- Admits a call to all of its limits or to none of them.
-- KEYS, five of each limit: its requests, its tokens, who runs, who waits, and until when who waits
-- is believed to.
-- ARGV: the call, its tokens, how long its places are kept, how long it is believed to wait; then of
-- each limit requests a minute, tokens a minute, calls at once (-1: not limited) and whether it may
-- wait (1). All times are microseconds.
-- Answers 0 and what each limit is owed (requests, tokens; -1: not limited), or the number of the
-- limit that refuses, what of it (1 requests, 2 tokens, 3 calls at once) and the wait.
local MINUTE, EPOCH, ROUNDING = 60000000, 1767225600, 1
local time = redis.call('TIME')
-- Numbers here have 53 bits: counted from 2026 they leave room for parts of a microsecond.
local now = (time[1] - EPOCH) * 1000000 + time[2]
local call, tokens, kept, believed = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local count = #KEYS / 5

local function of(limit)
  local k, a = (limit - 1) * 5, 4 + (limit - 1) * 4
  return {
    requests = KEYS[k + 1], tokens = KEYS[k + 2],
    running = KEYS[k + 3], waiting = KEYS[k + 4], seen = KEYS[k + 5],
    requests_per_minute = tonumber(ARGV[a + 1]), tokens_per_minute = tonumber(ARGV[a + 2]),
    concurrent = tonumber(ARGV[a + 3]), queued = ARGV[a + 4] == '1',
  }
end

local function keep(key, us)
  redis.call('PEXPIRE', key, math.ceil(us / 1000) + 1)
end

-- Whether a place is free for the call, behind those that wait already.
local function has_place(limit)
  redis.call('ZREMRANGEBYSCORE', limit.running, '-inf', now)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', limit.seen, '-inf', now)) do
    redis.call('ZREM', limit.waiting, gone)
    redis.call('ZREM', limit.seen, gone)
  end
  local before = redis.call('ZRANK', limit.waiting, call) or redis.call('ZCARD', limit.waiting)
  if before < limit.concurrent - redis.call('ZCARD', limit.running) then
    redis.call('ZREM', limit.waiting, call)
    redis.call('ZREM', limit.seen, call)
    return true
  end
  if limit.queued then
    redis.call('ZADD', limit.waiting, 'NX', now, call)
    redis.call('ZADD', limit.seen, now + believed, call)
    keep(limit.waiting, believed)
    keep(limit.seen, believed)
  end
  return false
end

-- What a bucket owes after the call has taken its cells from it: the time until it is full again.
local function owed_after(key, cells, per_minute)
  local full_at = tonumber(redis.call('GET', key) or '0')
  local owed = math.max(full_at - now, 0)
  if cells == 0 then return owed end
  if per_minute == 0 then return 2 * MINUTE end
  return owed + cells * MINUTE / per_minute
end

local limits, writes, answer = {}, {}, {0}
for number = 1, count do
  local limit = of(number)
  limits[number] = limit
  if limit.concurrent >= 0 and not has_place(limit) then return {number, 3, 0} end
end
for number, limit in ipairs(limits) do
  for what, rate in ipairs({
    {limit.requests, 1, limit.requests_per_minute},
    {limit.tokens, tokens, limit.tokens_per_minute},
  }) do
    local key, cells, per_minute = rate[1], rate[2], rate[3]
    local owed = -1
    if per_minute >= 0 then
      owed = owed_after(key, cells, per_minute)
      if cells > 0 and owed > MINUTE + ROUNDING then
        return {number, what, math.ceil(owed - MINUTE)}
      end
      if cells > 0 then writes[#writes + 1] = {key, owed} end
    end
    answer[#answer + 1] = math.ceil(owed)
  end
end
for _, write in ipairs(writes) do
  redis.call('SET', write[1], string.format('%.3f', now + write[2]), 'PX', math.ceil(write[2] / 1000) + 1)
end
for _, limit in ipairs(limits) do
  if limit.concurrent >= 0 then
    redis.call('ZADD', limit.running, now + kept, call)
    keep(limit.running, kept)
  end
end
return answer
