-- A hash: how full the bucket was, and when. It leaks `limit` per period.
-- ARGV[3]: what it holds, or 0 for a queue, which admits into the empty bucket only.
local SLACK = 1e-9
local state = redis.call('HMGET', KEYS[1], 'level', 'at')
local rate = limit / period
local level, at = tonumber(state[1] or 0), tonumber(state[2] or 0)
if not recall(at) then level, at = 0, now end
level = math.max(level - (now - at) * rate, 0)
local room = tonumber(ARGV[3])
local capacity = math.max(room, 1)

local function take(weight)
  local over = level
  if room > 0 then over = level + weight - room end
  if over > SLACK then return over / rate end
  level = level + weight
  return 0
end

-- Only what cannot have leaked since: the rest may have made room for others.
local function give_back(weight, taken_at)
  level = math.max(level - math.max(weight - (now - taken_at) * rate, 0), 0)
end

local function left() return math.max(math.floor(capacity - level + SLACK), 0) end

local function reset_after() return level / rate end

local function save()
  redis.call('HSET', KEYS[1], 'level', string.format('%.17g', level), 'at', text(now))
end
