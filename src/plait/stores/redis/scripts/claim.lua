-- worker, now_ms, limit, token; then the tokens of doubtful requests of the worker's: what
-- it has by them it gives back first.
-- Returns the rows as they are now, in the worker's hands, and when the next one that nobody
-- holds is due. A row that is read later may have another holder's epoch.
local worker, now_ms, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
if #ARGV > 4 then
  local doubtful = {}
  for at = 5, #ARGV do
    doubtful[ARGV[at]] = true
  end
  for _, id in ipairs(call('SMEMBERS', P .. 'held:' .. worker)) do
    if doubtful[call('HGET', P .. 'x:' .. id, 'token')] then
      free(id, worker)
      settle(id)
    end
  end
end
local due = {}
for _, priority in ipairs(call('ZRANGE', P .. 'priorities', 0, -1, 'REV')) do
  if #due >= limit then
    break
  end
  local key = P .. 'free:' .. priority
  local found = call('ZRANGEBYSCORE', key, '-inf', now_ms, 'WITHSCORES', 'LIMIT', 0, limit)
  for at = 1, #found, 2 do
    table.insert(due, {id = found[at], priority = tonumber(priority),
      wake_at_ms = tonumber(found[at + 1])})
  end
  if call('EXISTS', key) == 0 then
    call('ZREM', P .. 'priorities', priority)
  end
end
for _, id in ipairs(call('SMEMBERS', P .. 'waiting')) do
  local row = call('HMGET', P .. 'x:' .. id, 'status', 'owner', 'priority', 'wake_at_ms',
    'number')
  local wake_at_ms = tonumber(row[4])
  local is_listed = wake_at_ms and wake_at_ms <= tonumber(now_ms)
  if row[1] == 'running' and row[2] == '' and not is_listed then
    table.insert(due, {id = id, priority = tonumber(row[3]), wake_at_ms = wake_at_ms or 0})
  end
end
table.sort(due, function(a, b)
  if a.priority ~= b.priority then
    return a.priority > b.priority
  end
  if a.wake_at_ms ~= b.wake_at_ms then
    return a.wake_at_ms < b.wake_at_ms
  end
  return a.id < b.id
end)
local rows = {}
for at = 1, math.min(limit, #due) do
  rows[at] = hold(due[at].id, worker, ARGV[4])
end
local next_wake_at_ms = false
for _, priority in ipairs(call('ZRANGE', P .. 'priorities', 0, -1)) do
  local first = call('ZRANGE', P .. 'free:' .. priority, 0, 0, 'WITHSCORES')[2]
  if first and (not next_wake_at_ms or tonumber(first) < tonumber(next_wake_at_ms)) then
    next_wake_at_ms = first
  end
end
return {rows, next_wake_at_ms}
