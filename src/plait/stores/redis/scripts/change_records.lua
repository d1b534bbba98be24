-- at_ms; then of each change: kind, tenant, key, expected version or '', whether it has a value:
-- 1 or 0, value
-- Returns the last of the new versions; or minus the place of the change, from 1 on, whose
-- record does not stand as it expects.
local function names(at)
  local name = #ARGV[at] .. ':' .. ARGV[at] .. ARGV[at + 1]
  return P .. 'r:' .. name, P .. 'rk:' .. name, P .. 'rt:' .. ARGV[at]
end

-- What holds something else would end the second pass half done.
local function check_type(key, wanted)
  local found = call('TYPE', key).ok
  if found ~= 'none' and found ~= wanted then
    error('PLAIT damaged')
  end
end

local count = (#ARGV - 1) / 6
for place = 1, count do
  local at = 6 * place - 4
  local records, keys, tenants = names(at)
  check_type(records, 'hash')
  check_type(keys, 'zset')
  check_type(tenants, 'zset')
  if ARGV[at + 3] ~= '' then
    local kept = call('HGET', records, ARGV[at + 2])
    local version = kept and string.match(kept, '^%d+') or '0'
    if version ~= ARGV[at + 3] then
      return -place
    end
  end
end
local last = call('INCRBY', P .. 'revision', count)
for place = 1, count do
  local at = 6 * place - 4
  local records, keys, tenants = names(at)
  local tenant, key = ARGV[at + 1], ARGV[at + 2]
  if ARGV[at + 4] == '1' then
    local version = string.format('%d', last - count + place)
    call('HSET', records, key, version .. '|' .. ARGV[1] .. '|' .. ARGV[at + 5])
    call('ZADD', keys, 0, key)
    call('ZADD', tenants, 0, tenant)
  else
    call('HDEL', records, key)
    call('ZREM', keys, key)
    if call('ZCARD', keys) == 0 then
      call('ZREM', tenants, tenant)
    end
  end
end
return last
