-- id, workflow, key's field or '', parent or '', status, priority, owner, count of entries,
-- entries..., fields of the row...
local id, workflow, key, parent = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local status, owner, count = ARGV[5], ARGV[7], tonumber(ARGV[8])
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
call('HSET', P .. 'x:' .. id, 'number', number, unpack(ARGV, 9 + count))
add_entries(id, 9, 8 + count)
if key ~= '' then
  call('HSET', P .. 'keys', key, id)
end
call('ZADD', P .. 'all', number, id)
call('ZADD', P .. 'w:' .. workflow, number, id)
call('ZADD', P .. 's:' .. status, number, id)
if parent ~= '' then
  call('ZADD', P .. 'p:' .. parent, number, id)
end
give(id, owner)
settle(id)
return false
