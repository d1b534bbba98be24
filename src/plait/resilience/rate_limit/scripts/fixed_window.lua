-- A hash: when the window began, and the weight admitted in it. Windows begin at whole
-- multiples of the period since 1970, for every key and process alike.
local state = redis.call('HMGET', KEYS[1], 'begun', 'used')
local stored = tonumber(state[1] or 0)
recall(stored)

local begun = now - now % period
local used = stored == begun and tonumber(state[2]) or 0
local capacity = limit

local function take(weight)
  if used + weight > limit then return begun + period - now end
  used = used + weight
  return 0
end

local function give_back(weight, at)
  if at >= begun then used = math.max(used - weight, 0) end
end

local function left() return limit - used end

local function reset_after() return used > 0 and begun + period - now or 0 end

local function save()
  redis.call('HSET', KEYS[1], 'begun', text(begun), 'used', text(used))
end
