-- '1' to mend, a key or '', ids...
-- Without a key: whether each execution stands wherever its row says. With one: whether each
-- that stands there is said to by its row.
-- Returns of each that is wrong: its id, the key, '1' when mended.
-- What has no whole row is left alone, but for what nobody has a row of at all.
local mends, asked = ARGV[1] == '1', ARGV[2]
local found = {}

local function tell(id, key, is_mended)
  table.insert(found, id)
  table.insert(found, key)
  table.insert(found, is_mended and '1' or '0')
end

-- The field of `keys`: as rows.key_field has it, which counts characters.
local function counted(text)
  local _, count = string.gsub(text, '[^\128-\191]', '')
  return count .. ':' .. text
end

local function key_field(tenant, workflow, key)
  return (tenant and '@' .. counted(tenant) or '') .. counted(workflow) .. key
end

-- Where an execution stands: kind, key, member and score; nil: its row is not whole.
local function places_of(id)
  if not is_whole(id) then
    return nil
  end
  local row = call('HMGET', P .. 'x:' .. id, 'status', 'owner', 'wake_at_ms', 'priority',
    'workflow', 'lane_state', 'lane', 'number', 'at_ms', 'error_code', 'parent', 'tags', 'key',
    'tenant')
  local status, owner, wake_at_ms, priority, workflow = row[1], row[2], row[3], row[4], row[5]
  local lane_state, lane, number = row[6], row[7], row[8]
  local is_list, tags = pcall(cjson.decode, row[12] or '')
  if not is_list or type(tags) ~= 'table' then
    return nil
  end
  local is_running, places = status == 'running', {}
  local function add(kind, key, member, score)
    table.insert(places, {kind, P .. key, member, score})
  end
  add('zset', 'all', id, number)
  add('zset', 'w:' .. workflow, id, number)
  add('set', 'workflows', workflow)
  add('zset', 's:' .. status, id, number)
  for _, tag in ipairs(tags) do
    if type(tag) ~= 'string' then
      return nil
    end
    add('zset', 't:' .. tag, id, number)
  end
  if row[11] then
    add('zset', 'p:' .. row[11], id, number)
  end
  if row[10] and row[10] ~= '' then
    add('zset', 'e:' .. row[10], id, number)
  end
  if row[14] then
    add('zset', 'tn:' .. row[14], id, number)
    add('set', 'tenants', row[14])
  end
  if not is_running then
    add('zset', 'ended', id, row[9])
  elseif owner == '' and wake_at_ms ~= '' and lane_state ~= QUEUED then
    add('zset', 'free:' .. priority .. ':' .. workflow, id, wake_at_ms)
    add('zset', 'priorities', priority, priority)
    add('set', 'groups:' .. priority, workflow)
  end
  if lane and is_running and lane_state == QUEUED then
    add('zset', 'queue:' .. lane, id, tonumber(number) - tonumber(priority) * 2 ^ 44)
  elseif lane and is_running then
    add('set', 'lane:' .. lane, id)
  end
  if owner ~= '' then
    add('set', 'held:' .. owner, id)
    add('set', 'holders', owner)
  end
  if (is_running or owner ~= '') and call('EXISTS', P .. 'm:' .. id) == 1 then
    add('set', 'waiting', id)
  end
  if row[13] then
    add('hash', 'keys', key_field(row[14], workflow, row[13]), id)
  end
  return places
end

-- Whether a place is taken as it should be; second: whether nothing stands in the way.
local function is_there(place)
  local kind, key, member, score = unpack(place)
  if call('TYPE', key).ok ~= kind then
    return false, true
  elseif kind == 'set' then
    return call('SISMEMBER', key, member) == 1, true
  elseif kind == 'zset' then
    return tonumber(call('ZSCORE', key, member) or nil) == tonumber(score), true
  end
  local other = call('HGET', key, member)
  return other == score, not other
end

local function put(place)
  local kind, key, member, score = unpack(place)
  if call('TYPE', key).ok ~= kind then
    call('DEL', key)
  end
  if kind == 'set' then
    call('SADD', key, member)
  elseif kind == 'zset' then
    call('ZADD', key, score, member)
  else
    call('HSET', key, member, score)
  end
end

local function compare(id)
  for _, place in ipairs(places_of(id) or {}) do
    local is_so, may_be = is_there(place)
    if not is_so then
      if mends and may_be then
        put(place)
      end
      tell(id, place[2], mends and may_be)
    end
  end
end

local function compare_stray(id)
  local kind = call('TYPE', asked).ok
  local is_set = kind == 'set'
  if not (is_set and call('SISMEMBER', asked, id) == 1)
      and not (kind == 'zset' and call('ZSCORE', asked, id)) then
    return
  end
  local places = places_of(id)
  if not places and call('EXISTS', P .. 'x:' .. id) == 1 then
    return
  end
  for _, place in ipairs(places or {}) do
    if place[2] == asked then
      return
    end
  end
  if mends then
    call(is_set and 'SREM' or 'ZREM', asked, id)
  end
  tell(id, asked, mends)
end

for at = 3, #ARGV do
  if asked == '' then
    compare(ARGV[at])
  else
    compare_stray(ARGV[at])
  end
end
return found
