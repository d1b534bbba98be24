-- ARGV: limit, period in µs, size, how many weights are given back, these with the moment of
-- their admission behind each, and the weights asked for, negative for who would not wait.
local limit, period = tonumber(ARGV[1]), tonumber(ARGV[2])

-- Numbers of 16 digits: tostring() would keep 14.
local function text(number) return string.format('%.0f', number) end

-- Whether what was stored at `latest` still counts. A clock that was set back stands still
-- until it has caught up: else what is used would be free again. Set back by more than a
-- period, it is believed, and all begins anew.
local function recall(latest)
  if latest - now > period then
    redis.call('DEL', KEYS[1])
    return false
  end
  now = math.max(now, latest)
  return true
end
