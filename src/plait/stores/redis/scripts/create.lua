-- id, workflow, key's field or '', parent or '', status, priority, owner, lane or '',
-- lane_max, at_ms, error_code or '', tenant or '', held execution or '', its epoch,
-- count of tags, count of entries, tags..., entries..., fields of the row...
-- Returns the id that the key has, or whether it is queued: 1 or 0.
local id, workflow, key, parent = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local status, owner, lane = ARGV[5], ARGV[7], ARGV[8]
local last_tag = 16 + tonumber(ARGV[15])
local last_entry = last_tag + tonumber(ARGV[16])
if is_hold_lost(ARGV[13], ARGV[14]) then
  return redis.error_reply('PLAIT hold ' .. ARGV[13])
end
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
call('HSET', P .. 'x:' .. id, 'number', number, unpack(ARGV, last_entry + 1))
add_entries(id, last_tag + 1, last_entry)
if key ~= '' then
  call('HSET', P .. 'keys', key, id)
end
call('ZADD', P .. 'all', number, id)
call('ZADD', P .. 'w:' .. workflow, number, id)
call('SADD', P .. 'workflows', workflow)
call('ZADD', P .. 's:' .. status, number, id)
for at = 17, last_tag do
  call('ZADD', P .. 't:' .. ARGV[at], number, id)
end
if ARGV[12] ~= '' then
  call('ZADD', P .. 'tn:' .. ARGV[12], number, id)
  call('SADD', P .. 'tenants', ARGV[12])
end
if status ~= 'running' or ARGV[11] ~= '' then
  classify(id, number, status, ARGV[10], '', ARGV[11])
end
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
if status == 'running' then
  give(id, owner)
  settle(id)
else
  call('HSET', P .. 'x:' .. id, 'owner', '')
end
return 0
