-- id, workflow, key's field or '', parent or '', status, priority, owner, lane or '',
-- lane_max, count of entries, entries..., fields of the row...
-- Returns the id that the key has, or whether it is queued: 1 or 0.
local id, workflow, key, parent = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local status, owner, lane, count = ARGV[5], ARGV[7], ARGV[8], tonumber(ARGV[10])
if key ~= '' then
  local first = call('HGET', P .. 'keys', key)
  if first then
    return first
  end
end
if call('EXISTS', P .. 'x:' .. id) == 1 then
  return redis.error_reply('PLAIT lost')
end
local number = call('INCR', P .. 'number')
call('HSET', P .. 'x:' .. id, 'number', number, unpack(ARGV, 11 + count))
add_entries(id, 11, 10 + count)
if key ~= '' then
  call('HSET', P .. 'keys', key, id)
end
call('ZADD', P .. 'all', number, id)
call('ZADD', P .. 'w:' .. workflow, number, id)
call('ZADD', P .. 's:' .. status, number, id)
if parent ~= '' then
  call('ZADD', P .. 'p:' .. parent, number, id)
end
local is_in_lane = lane ~= '' and status == 'running'
if is_in_lane and is_full(lane, ARGV[9]) then
  call('HSET', P .. 'x:' .. id, 'owner', '', 'lane_state', QUEUED)
  queue(id, lane, ARGV[6], number)
  return 1
end
if is_in_lane then
  call('SADD', P .. 'lane:' .. lane, id)
end
give(id, owner)
settle(id)
return 0
