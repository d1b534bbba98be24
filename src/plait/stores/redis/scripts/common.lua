-- What every script begins with. All keys begin with {plait}: the braces put them into one
-- slot of a cluster.
--
--   number            counts executions and messages: the order of creation
--   x:ID              hash: what an execution is and how it stands; '' is none; token: of
--                     the request by which the owner has it (plait.stores.doubts)
--   h:ID              list: its history, entry by entry
--   m:ID, d:ID        hash: messages that wait; set: ids of those that were heard
--   a:ID              hash: messages that nobody could read, put aside
--   keys              hash: tenant, workflow and idempotency key -> id
--   all, w:W, s:S, p:P, t:T, e:E, tn:N  sorted sets of ids by number: all, of a workflow,
--                     status, parent, tag, error, tenant (but for the default one)
--   workflows, tenants  set: the Ws of which there is or was a w:W; the Ns
--   ended             sorted set of ids by the moment of their end
--   charge            who looks after the store: until_ms|worker
--   free:P:W          sorted set of ids by due time: running and not queued, of priority P
--                     and workflow W, held by nobody
--   priorities, groups:P   sorted set: the Ps of which there is a groups:P; set: the Ws of
--                     which there is a free:P:W
--   turn              the workflow that the latest claim ended with
--   lane:L, queue:L   set of ids: in the lane; sorted set: waiting for it, the next first
--   waiting           set of ids: a message waits, and it is running or held
--   held:WORKER, holders   set of ids; set: the workers of which there is a held:WORKER
--   workers           hash: worker -> until_ms|client id|run id of the server
--   plans             hash: hash -> bytes
--   r:N:KT, rk:N:KT   records of kind K, N bytes long, and tenant T: hash of key ->
--                     version|at_ms|value; sorted set of the keys, all with score 0
--   rt:K              sorted set of the Ts of which there is such a record, with score 0
--   revision          the version that was given last to a record
--
-- Rule. A script refuses before its first write.

local P = '{plait}:'
local call = redis.call
-- As in plait.ports.journal.
local IN_LANE, LET_IN, QUEUED = '0', '1', '2'

-- Whether somebody else holds `id` by now than who held it in `epoch`; '' is never lost.
local function is_hold_lost(id, epoch)
  local now = id ~= '' and call('HGET', P .. 'x:' .. id, 'epoch')
  return now and now ~= epoch
end

-- Keeps what ended by its end, and what failed by its error; `old` and `new` may be ''.
local function classify(id, number, status, at_ms, old, new)
  if status == 'running' then
    call('ZREM', P .. 'ended', id)
  else
    call('ZADD', P .. 'ended', at_ms, id)
  end
  if old ~= new and old ~= '' then
    call('ZREM', P .. 'e:' .. old, id)
  end
  if new ~= '' then
    call('ZADD', P .. 'e:' .. new, number, id)
  end
end

-- Whether an execution's row is one that scripts can work on: a number that is none would
-- end a script half done.
local function is_whole(id)
  local x = P .. 'x:' .. id
  if call('TYPE', x).ok ~= 'hash' then
    return false
  end
  local row = call('HMGET', x, 'owner', 'status', 'workflow', 'number', 'priority', 'epoch',
    'length', 'at_ms', 'wake_at_ms')
  for at = 1, 9 do
    if not row[at] or (at > 3 and not string.match(row[at], '^-?%d+$')
        and not (at == 9 and row[at] == '')) then
      return false
    end
  end
  return true
end

-- Puts an execution where `claim` and `beat` look for it, after any change of its row.
local function settle(id)
  local row = call('HMGET', P .. 'x:' .. id, 'status', 'owner', 'wake_at_ms', 'priority',
    'workflow', 'lane_state')
  local is_running, owner, wake_at_ms, priority = row[1] == 'running', row[2], row[3], row[4]
  local free = P .. 'free:' .. priority .. ':' .. row[5]
  if is_running and owner == '' and wake_at_ms ~= '' and row[6] ~= QUEUED then
    call('ZADD', free, wake_at_ms, id)
    call('ZADD', P .. 'priorities', priority, priority)
    call('SADD', P .. 'groups:' .. priority, row[5])
  else
    call('ZREM', free, id)
  end
  if (is_running or owner ~= '') and call('EXISTS', P .. 'm:' .. id) == 1 then
    call('SADD', P .. 'waiting', id)
  else
    call('SREM', P .. 'waiting', id)
  end
end

local function give(id, worker)
  call('HSET', P .. 'x:' .. id, 'owner', worker)
  call('SADD', P .. 'held:' .. worker, id)
  call('SADD', P .. 'holders', worker)
end

local function free(id, worker)
  call('HSET', P .. 'x:' .. id, 'owner', '')
  call('SREM', P .. 'held:' .. worker, id)
end

-- Returns the row as it is then.
local function hold(id, worker, token)
  local owner = call('HGET', P .. 'x:' .. id, 'owner')
  if owner ~= '' then
    free(id, owner)
  end
  give(id, worker)
  call('HINCRBY', P .. 'x:' .. id, 'epoch', 1)
  call('HSET', P .. 'x:' .. id, 'token', token)
  settle(id)
  return call('HGETALL', P .. 'x:' .. id)
end

-- Frees so many of what a worker holds: 100,000 at once kept everybody waiting for 10 s.
-- Returns how many those were.
local function free_some(worker, count)
  local ids = call('SPOP', P .. 'held:' .. worker, count)
  for _, id in ipairs(ids) do
    if is_whole(id) then
      call('HSET', P .. 'x:' .. id, 'owner', '')
      settle(id)
    end
  end
  if #ids < count then
    call('SREM', P .. 'holders', worker)
  end
  return #ids
end

-- Frees so many of what dead workers hold; returns whether there may be more: 1 or 0.
local function bury(count)
  for _, worker in ipairs(call('SMEMBERS', P .. 'holders')) do
    if call('HEXISTS', P .. 'workers', worker) == 0 then
      count = count - free_some(worker, count)
      if count == 0 then
        return 1
      end
    end
  end
  return 0
end

-- Until when a worker lives; nil: it does not, or nobody knows of it.
local function until_of(worker)
  local kept = call('HGET', P .. 'workers', worker)
  return kept and tonumber(string.match(kept, '^[^|]*'))
end

-- Lua's stack does not take a long history at once.
local function add_entries(id, first, last)
  for at = first, last, 1000 do
    call('RPUSH', P .. 'h:' .. id, unpack(ARGV, at, math.min(at + 999, last)))
  end
end

local function is_full(lane, lane_max)
  return call('SCARD', P .. 'lane:' .. lane) >= tonumber(lane_max)
end

-- The highest priority first, then the oldest. A score keeps 2^44 numbers apart.
local function queue(id, lane, priority, number)
  call('ZADD', P .. 'queue:' .. lane, tonumber(number) - tonumber(priority) * 2 ^ 44, id)
end

-- Lets in whatever the lane has room for.
local function let_in(lane)
  while true do
    local id = call('ZRANGE', P .. 'queue:' .. lane, 0, 0)[1]
    if not id then
      return
    end
    local lane_max = is_whole(id) and tonumber(call('HGET', P .. 'x:' .. id, 'lane_max'))
    if lane_max and is_full(lane, lane_max) then
      return
    end
    call('ZREM', P .. 'queue:' .. lane, id)
    if lane_max then
      call('SADD', P .. 'lane:' .. lane, id)
      call('HSET', P .. 'x:' .. id, 'lane_state', LET_IN, 'wake_at_ms', '0')
      settle(id)
    end
  end
end
