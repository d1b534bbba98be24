-- A hash: the calls of the last period under their numbers, as "moment:weight", and which
-- numbers there are. Never more than `limit` of them.
local state = redis.call('HMGET', KEYS[1], 'first', 'next', 'used')
local first, following = tonumber(state[1] or 1), tonumber(state[2] or 1)
local used = tonumber(state[3] or 0)
local capacity = limit

local function call(number)
  local entry = redis.call('HGET', KEYS[1], number)
  local at, weight = string.match(entry, '(%d+):(%d+)')
  return tonumber(at), tonumber(weight)
end

if following > first and not recall((call(following - 1))) then
  first, following, used = 1, 1, 0
end

local oldest = first
while first < following do
  local at, weight = call(first)
  if at + period > now then break end
  first = first + 1
  used = used - weight
end

local function take(weight)
  local over = used + weight - limit
  if over <= 0 then
    redis.call('HSET', KEYS[1], following, text(now) .. ':' .. text(weight))
    following = following + 1
    used = used + weight
    return 0
  end
  local number = first
  while true do
    local at, freed = call(number)
    over = over - freed
    if over <= 0 then return at + period - now end
    number = number + 1
  end
end

local function give_back(weight, at)
  for number = following - 1, first, -1 do
    local taken_at, taken = call(number)
    if taken_at < at then return end
    if taken_at == at and taken == weight then
      used = used - weight
      if number < following - 1 then
        redis.call('HSET', KEYS[1], number, text(at) .. ':0')
      else
        redis.call('HDEL', KEYS[1], number)
        following = number
      end
      return
    end
  end
end

local function left() return limit - used end

local function reset_after()
  if used == 0 then return 0 end
  local at = call(following - 1)
  return at + period - now
end

local function save()
  for number = oldest, first - 1 do redis.call('HDEL', KEYS[1], number) end
  redis.call('HSET', KEYS[1], 'first', text(first), 'next', text(following),
    'used', text(used))
end
