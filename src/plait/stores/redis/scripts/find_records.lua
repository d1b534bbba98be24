-- kind, first and last key as ZRANGE takes them, how many at most, whether backward: 1 or 0;
-- then the tenant; none: all tenants, and all of their records
-- Returns tenant, key and record in turn.
local kind, is_backward = ARGV[1], ARGV[5] == '1'

local function range(set, first, last, count)
  if is_backward then
    return call('ZRANGE', set, last, first, 'BYLEX', 'REV', 'LIMIT', 0, count)
  end
  return call('ZRANGE', set, first, last, 'BYLEX', 'LIMIT', 0, count)
end

local function add(found, tenant, first, last, count)
  local name = #kind .. ':' .. kind .. tenant
  local keys = range(P .. 'rk:' .. name, first, last, count)
  -- Lua's stack does not take them all at once.
  for at = 1, #keys, 1000 do
    local some = {unpack(keys, at, math.min(at + 999, #keys))}
    for place, record in ipairs(call('HMGET', P .. 'r:' .. name, unpack(some))) do
      table.insert(found, tenant)
      table.insert(found, some[place])
      table.insert(found, record)
    end
  end
end

local found = {}
if ARGV[6] then
  add(found, ARGV[6], ARGV[2], ARGV[3], ARGV[4])
else
  for _, tenant in ipairs(range(P .. 'rt:' .. kind, '-', '+', -1)) do
    add(found, tenant, '-', '+', -1)
  end
end
return found
