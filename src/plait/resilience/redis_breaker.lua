-- One circuit breaker, shared by all who name its keys. circuit_breaker.py says the same in
-- Python; one machine of tests drives both beside one model.
--
-- KEYS[1]  hash: state, round, counts and totals
-- KEYS[2]  string: outcomes of the last calls, one byte each
-- ARGV     verb, now, permit, outcome, slow, then the settings as `arguments` of
--          redis_breaker.py lists them; an empty text stands for None
--
-- Answers permit, state before, state after, reason, now, open until.

local verb, permit = ARGV[1], tonumber(ARGV[3])
local outcome, was_slow = tonumber(ARGV[4]), tonumber(ARGV[5])
local failure_threshold, failure_rate = tonumber(ARGV[6]), tonumber(ARGV[7])
local slow_rate = tonumber(ARGV[8])
local window_calls, window_s = tonumber(ARGV[9]), tonumber(ARGV[10])
local min_calls, success_threshold = tonumber(ARGV[11]), tonumber(ARGV[12])
local open_s, max_half_open_calls = tonumber(ARGV[13]), tonumber(ARGV[14])
local half_open_s, ttl_ms = tonumber(ARGV[15]), tonumber(ARGV[16])

local SLICES = 10
local FAILED = 1

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local state = redis.call('HGET', KEYS[1], 'state')
local reason = ''
if not state then
  -- Rounds begin at the time, so that a breaker forgotten and made anew takes no old permit.
  state = 'closed'
  local round = math.max(math.floor(now * 1000), 1)
  redis.call('HSET', KEYS[1], 'state', state, 'round', string.format('%.0f', round))
end
local before = state

local function get(field)
  return tonumber(redis.call('HGET', KEYS[1], field) or '0')
end

local function set(field, value)
  redis.call('HSET', KEYS[1], field, string.format('%.17g', value))
end

local function add(field, count)
  -- Lua writes minus nothing as -0, which Redis does not take for a whole number.
  return redis.call('HINCRBY', KEYS[1], field, string.format('%d', count))
end

local function change(after, why)
  state, reason = after, why
  redis.call('HSET', KEYS[1], 'state', after)
  add('round', 1)
  redis.call('HDEL', KEYS[1], 'consecutive', 'successes', 'running', 'next', 'slice',
    'calls', 'failures', 'slow_calls')
  for slice = 0, SLICES - 1 do
    redis.call('HDEL', KEYS[1], 'c' .. slice, 'f' .. slice, 's' .. slice)
  end
  redis.call('DEL', KEYS[2])
  if after == 'open' then
    set('open_until', now + open_s)
  end
end

local function count(calls, failures, slow)
  add('calls', calls)
  add('failures', failures)
  add('slow_calls', slow)
end

local function record_call(failed, slow)
  local position = get('next')
  if get('calls') >= window_calls then
    local oldest = string.byte(redis.call('GETRANGE', KEYS[2], position, position))
    count(-1, -(oldest % 2), -math.floor(oldest / 2))
  end
  redis.call('SETRANGE', KEYS[2], position, string.char(failed + 2 * slow))
  redis.call('HSET', KEYS[1], 'next', (position + 1) % window_calls)
  count(1, failed, slow)
end

local function record_moment(failed, slow)
  local current = math.floor(now / (window_s / SLICES))
  local last = get('slice')
  if last == 0 then
    last = current
  end
  for passed = last + 1, math.min(current, last + SLICES) do
    local slice = passed % SLICES
    count(-get('c' .. slice), -get('f' .. slice), -get('s' .. slice))
    redis.call('HDEL', KEYS[1], 'c' .. slice, 'f' .. slice, 's' .. slice)
  end
  current = math.max(current, last)
  set('slice', current)
  local slice = current % SLICES
  add('c' .. slice, 1)
  add('f' .. slice, failed)
  add('s' .. slice, slow)
  count(1, failed, slow)
end

local function reason_to_open()
  if failure_threshold and get('consecutive') >= failure_threshold then
    return 'failures'
  end
  local calls = get('calls')
  if not (failure_rate or slow_rate) or calls < min_calls then
    return nil
  end
  if failure_rate and get('failures') / calls >= failure_rate then
    return 'failure_rate'
  end
  if slow_rate and get('slow_calls') / calls >= slow_rate then
    return 'slow_rate'
  end
  return nil
end

local function settle_closed(failed)
  if failed == 1 then
    add('consecutive', 1)
  else
    redis.call('HDEL', KEYS[1], 'consecutive')
  end
  if failure_rate or slow_rate then
    local record = window_s and record_moment or record_call
    record(failed, was_slow)
  end
  local why = reason_to_open()
  if why then
    change('open', why)
  end
end

local function settle_probe(failed)
  add('running', -1)
  if failed == 1 or was_slow == 1 then
    change('open', 'probe_failed')
  elseif add('successes', 1) >= success_threshold then
    change('closed', 'probes_succeeded')
  end
end

local function acquire()
  if state == 'open' and now >= get('open_until') then
    change('half_open', 'open_time_over')
  end
  if state == 'closed' then
    return get('round')
  end
  if state == 'half_open' then
    if get('running') < max_half_open_calls then
      add('running', 1)
      set('probe_at', now)
      return get('round')
    end
    if now - get('probe_at') >= half_open_s then
      change('open', 'probes_lost')
    end
  end
  add('refused', 1)
  return 0
end

local granted = 0
if verb == 'acquire' then
  granted = acquire()
elseif verb == 'settle' then
  add(outcome == FAILED and 'failed' or 'succeeded', 1)
  add('slow', was_slow)
  if permit == get('round') and state == 'closed' then
    settle_closed(outcome)
  elseif permit == get('round') and state == 'half_open' then
    settle_probe(outcome)
  end
elseif verb == 'abandon' then
  if permit == get('round') and state == 'half_open' then
    add('running', -1)
  end
elseif verb == 'open' then
  change('isolated', 'by_hand')
elseif verb == 'close' or verb == 'reset' then
  change('closed', 'by_hand')
  if verb == 'reset' then
    redis.call('HDEL', KEYS[1], 'succeeded', 'failed', 'slow', 'refused')
  end
end

-- What a person has opened stays open; the rest is forgotten when nobody asks for long.
for _, key in ipairs(KEYS) do
  if state == 'isolated' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, ttl_ms)
  end
end

local function text(number)
  return string.format('%.17g', number)
end

return {text(granted), before, state, reason, text(now), text(get('open_until'))}
