-- number
-- Brings a store up, some executions at a time: those behind that number, the oldest first.
-- From schema 1 to 2: what is due is listed by workflow too. From 2 to 3: executions are
-- listed by tag, error and end. From 3 to 4: executions may be of a tenant; those that are
-- there are the default one's, which is not written down.
-- Returns the number to go on behind; nil: it is done.
if call('GET', P .. 'schema') == '1' then
  for _, priority in ipairs(call('ZRANGE', P .. 'priorities', 0, -1)) do
    call('DEL', P .. 'free:' .. priority)
  end
  for _, id in ipairs(call('ZRANGE', P .. 's:running', 0, -1)) do
    settle(id)
  end
  call('SET', P .. 'schema', 2)
end
if call('GET', P .. 'schema') == '3' then
  call('SET', P .. 'schema', 4)
end
if call('GET', P .. 'schema') ~= '2' then
  return nil
end
local found = call('ZRANGE', P .. 'all', '(' .. ARGV[1], '+inf', 'BYSCORE', 'LIMIT', 0, 500,
  'WITHSCORES')
for at = 1, #found, 2 do
  local id, number = found[at], found[at + 1]
  local row = call('HMGET', P .. 'x:' .. id, 'workflow', 'status', 'at_ms', 'error_code',
    'tags')
  call('SADD', P .. 'workflows', row[1])
  classify(id, number, row[2], row[3], '', row[4])
  for _, tag in ipairs(cjson.decode(row[5])) do
    call('ZADD', P .. 't:' .. tag, number, id)
  end
end
if #found == 0 then
  call('SET', P .. 'schema', 4)
  return nil
end
return found[#found]
