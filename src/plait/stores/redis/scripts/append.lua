-- id, expected length, epoch, '1' when released, status, at_ms, wake_at_ms, error_code,
-- head or '', count of entries, entries..., ids of messages heard...
local id, count = ARGV[1], tonumber(ARGV[10])
local x = P .. 'x:' .. id
local row = call('HMGET', x, 'length', 'epoch', 'owner', 'status', 'number')
local owner, status = row[3], row[4]
if not row[1] then
  return redis.error_reply('PLAIT unknown')
end
if row[1] ~= ARGV[2] or row[2] ~= ARGV[3] or owner == '' then
  return redis.error_reply('PLAIT lost')
end
call('HSET', x, 'status', ARGV[5], 'at_ms', ARGV[6], 'wake_at_ms', ARGV[7],
  'error_code', ARGV[8])
if count > 0 then
  add_entries(id, 11, 10 + count)
  call('HSET', x, 'head', ARGV[9])
  call('HINCRBY', x, 'length', count)
end
if status ~= ARGV[5] then
  call('ZREM', P .. 's:' .. status, id)
  call('ZADD', P .. 's:' .. ARGV[5], row[5], id)
end
for at = 11 + count, #ARGV do
  call('HDEL', P .. 'm:' .. id, ARGV[at])
  call('SADD', P .. 'd:' .. id, ARGV[at])
end
if ARGV[5] ~= 'running' then
  call('DEL', P .. 'm:' .. id, P .. 'd:' .. id)
end
if ARGV[4] == '1' then
  free(id, owner)
end
settle(id)
return true
