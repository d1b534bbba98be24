-- worker, now_ms, id, token
-- Returns the row.
local worker, now_ms, id = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local owner = call('HGET', P .. 'x:' .. id, 'owner')
if not owner then
  return redis.error_reply('PLAIT unknown')
end
if not is_whole(id) then
  return redis.error_reply('PLAIT damaged')
end
if owner ~= '' and owner ~= worker and call('HEXISTS', P .. 'workers', owner) == 1 then
  local until_ms = until_of(owner)
  if not until_ms or until_ms >= now_ms then
    return redis.error_reply('PLAIT lost')
  end
end
return hold(id, worker, ARGV[4])
