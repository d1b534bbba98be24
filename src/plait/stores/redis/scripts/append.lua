-- id, expected length, epoch, '1' when released, status, at_ms, wake_at_ms, error_code,
-- head or '', '1' when begun, '1' when the history begins anew, count of entries, count of
-- messages put aside, held execution or '', its epoch, entries..., ids of messages put
-- aside..., of messages heard...
local id, count = ARGV[1], tonumber(ARGV[12])
if is_hold_lost(ARGV[14], ARGV[15]) then
  return redis.error_reply('PLAIT hold ' .. ARGV[14])
end
local x = P .. 'x:' .. id
local row = call('HMGET', x, 'length', 'epoch', 'owner', 'status', 'number', 'lane',
  'priority', 'lane_state', 'error_code')
local owner, status, lane, lane_state = row[3], row[4], row[6], row[8]
if not row[1] then
  return redis.error_reply('PLAIT unknown')
end
if row[1] ~= ARGV[2] or row[2] ~= ARGV[3] or owner == '' then
  return redis.error_reply('PLAIT lost')
end
call('HSET', x, 'status', ARGV[5], 'at_ms', ARGV[6], 'wake_at_ms', ARGV[7],
  'error_code', ARGV[8])
if ARGV[11] == '1' then
  call('DEL', P .. 'h:' .. id)
end
if count > 0 then
  add_entries(id, 16, 15 + count)
  call('HSET', x, 'head', ARGV[9])
  call('HINCRBY', x, 'length', count)
end
if status ~= ARGV[5] then
  call('ZREM', P .. 's:' .. status, id)
  call('ZADD', P .. 's:' .. ARGV[5], row[5], id)
end
if status ~= 'running' or ARGV[5] ~= 'running' or row[9] ~= ARGV[8] then
  classify(id, row[5], ARGV[5], ARGV[6], row[9], ARGV[8])
end
for at = 16 + count, #ARGV do
  local body = at < 16 + count + tonumber(ARGV[13]) and call('HGET', P .. 'm:' .. id, ARGV[at])
  if body then
    call('HSET', P .. 'a:' .. id, ARGV[at], body)
  end
  call('HDEL', P .. 'm:' .. id, ARGV[at])
  call('SADD', P .. 'd:' .. id, ARGV[at])
end
if ARGV[5] ~= 'running' or status ~= 'running' then
  -- Also what came after its end: it would be told when the execution runs again.
  call('DEL', P .. 'm:' .. id, P .. 'd:' .. id)
end
if ARGV[4] == '1' then
  free(id, owner)
end
if lane then
  if ARGV[5] ~= 'running' then
    call('SREM', P .. 'lane:' .. lane, id)
    call('ZREM', P .. 'queue:' .. lane, id)
    lane_state = IN_LANE
  elseif status ~= 'running' then
    -- Whatever runs again queues behind those who are there.
    queue(id, lane, row[7], row[5])
    lane_state = QUEUED
  elseif ARGV[10] == '1' then
    lane_state = IN_LANE
  end
  call('HSET', x, 'lane_state', lane_state)
end
settle(id)
if lane and (ARGV[5] ~= 'running' or lane_state == QUEUED) then
  let_in(lane)
end
return true
