-- id, length, workflow, key's field or '', parent or '', tenant, tags...
-- Returns whether it was removed: 1 or 0.
local id = ARGV[1]
local x = P .. 'x:' .. id
local row = call('HMGET', x, 'length', 'owner', 'status', 'error_code')
if row[1] ~= ARGV[2] or row[2] ~= '' or row[3] == 'running' then
  return 0
end
-- As deep as plait.stores.parents goes.
local parent = ARGV[5]
for _ = 1, 16 do
  local above = parent ~= '' and call('HMGET', P .. 'x:' .. parent, 'status', 'owner', 'parent')
  if not above or not above[1] then
    break
  elseif above[1] == 'running' or above[2] ~= '' then
    return 0
  end
  parent = above[3] or ''
end
for at = 7, #ARGV do
  call('ZREM', P .. 't:' .. ARGV[at], id)
end
if ARGV[4] ~= '' and call('HGET', P .. 'keys', ARGV[4]) == id then
  call('HDEL', P .. 'keys', ARGV[4])
end
if ARGV[5] ~= '' then
  call('ZREM', P .. 'p:' .. ARGV[5], id)
end
call('ZREM', P .. 'e:' .. row[4], id)
call('ZREM', P .. 's:' .. row[3], id)
call('ZREM', P .. 'w:' .. ARGV[3], id)
call('ZREM', P .. 'tn:' .. ARGV[6], id)
call('ZREM', P .. 'ended', id)
call('ZREM', P .. 'all', id)
call('SREM', P .. 'waiting', id)
-- A long history is freed beside the commands of others.
call('UNLINK', x, P .. 'h:' .. id, P .. 'm:' .. id, P .. 'd:' .. id, P .. 'a:' .. id)
return 1
