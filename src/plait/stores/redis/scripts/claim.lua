-- worker, now_ms, limit, token; then the tokens of doubtful requests of the worker's: what
-- it has by them it gives back first.
-- Returns the rows as they are now, in the worker's hands, and when the next one that nobody
-- holds is due. A row that is read later may have another holder's epoch. Third: the ids of
-- damaged rows, which are taken off the lists of what is due.
local worker, now_ms, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local damaged, is_off = {}, {}
if #ARGV > 4 then
  local doubtful = {}
  for at = 5, #ARGV do
    doubtful[ARGV[at]] = true
  end
  for _, id in ipairs(call('SMEMBERS', P .. 'held:' .. worker)) do
    if is_whole(id) and doubtful[call('HGET', P .. 'x:' .. id, 'token')] then
      free(id, worker)
      settle(id)
    end
  end
end
local priorities = call('ZRANGE', P .. 'priorities', 0, -1, 'REV')
-- What a message has made due before its time: by priority and workflow, ids.
local told, is_told = {}, {}
for _, id in ipairs(call('SMEMBERS', P .. 'waiting')) do
  local row = {}
  if is_whole(id) then
    row = call('HMGET', P .. 'x:' .. id, 'status', 'owner', 'priority', 'wake_at_ms',
      'workflow', 'lane_state')
  else
    call('SREM', P .. 'waiting', id)
    table.insert(damaged, id)
  end
  local wake_at_ms = tonumber(row[4])
  local is_listed = wake_at_ms and wake_at_ms <= tonumber(now_ms)
  if row[1] == 'running' and row[2] == '' and row[6] ~= QUEUED and not is_listed then
    local priority = row[3]
    if not is_told[priority] then
      is_told[priority], told[priority] = true, {}
      if not call('ZSCORE', P .. 'priorities', priority) then
        table.insert(priorities, priority)
      end
    end
    told[priority][row[5]] = told[priority][row[5]] or {}
    table.insert(told[priority][row[5]], id)
  end
end
table.sort(priorities, function(a, b) return tonumber(a) > tonumber(b) end)

-- The workflows of a priority that may have something due, in turn.
local function workflows_of(priority, after)
  local names, is_known = call('SMEMBERS', P .. 'groups:' .. priority), {}
  for _, name in ipairs(names) do
    is_known[name] = true
  end
  for name in pairs(told[priority] or {}) do
    if not is_known[name] then
      table.insert(names, name)
    end
  end
  table.sort(names, function(a, b)
    if (a <= after) ~= (b <= after) then
      return b <= after
    end
    return a < b
  end)
  return names
end

-- Returns what gives one id after the other, nil at last. Reads some at a time.
local function ids_of(priority, workflow, page)
  local key, found, at, offset = P .. 'free:' .. priority .. ':' .. workflow, {}, 1, 0
  local early = (told[priority] or {})[workflow] or {}
  table.sort(early)
  local function next_id()
    if at > #found and offset then
      found = call('ZRANGEBYSCORE', key, '-inf', now_ms, 'LIMIT', offset, page)
      at, offset = 1, #found == page and offset + page or nil
    end
    if at > #found then
      return table.remove(early, 1)
    end
    at = at + 1
    return found[at - 1]
  end
  return function()
    local id = next_id()
    while id and not is_whole(id) do
      table.insert(damaged, id)
      is_off[id] = key
      id = next_id()
    end
    return id
  end
end

local ids, after = {}, call('GET', P .. 'turn') or ''
for _, priority in ipairs(priorities) do
  local names, next_of = workflows_of(priority, after), {}
  local page = math.ceil(limit / math.max(#names, 1))
  for _, name in ipairs(names) do
    next_of[name] = ids_of(priority, name, page)
  end
  local is_open = true
  while is_open and #ids < limit do
    is_open = false
    for _, name in ipairs(names) do
      local id = #ids < limit and next_of[name] and next_of[name]()
      if id then
        is_open = true
        table.insert(ids, id)
        after = name
      else
        next_of[name] = nil
      end
    end
  end
end
-- Now, because the pages above are counted from the first one on.
for id, key in pairs(is_off) do
  call('ZREM', key, id)
end
local rows = {}
for at, id in ipairs(ids) do
  rows[at] = hold(id, worker, ARGV[4])
end
if #ids > 0 then
  call('SET', P .. 'turn', after)
end
local next_wake_at_ms = false
for _, priority in ipairs(call('ZRANGE', P .. 'priorities', 0, -1)) do
  for _, name in ipairs(call('SMEMBERS', P .. 'groups:' .. priority)) do
    local first = call('ZRANGE', P .. 'free:' .. priority .. ':' .. name, 0, 0, 'WITHSCORES')
    if not first[2] then
      call('SREM', P .. 'groups:' .. priority, name)
    elseif not next_wake_at_ms or tonumber(first[2]) < tonumber(next_wake_at_ms) then
      next_wake_at_ms = first[2]
    end
  end
  if call('EXISTS', P .. 'groups:' .. priority) == 0 then
    call('ZREM', P .. 'priorities', priority)
  end
end
return {rows, next_wake_at_ms, damaged}
