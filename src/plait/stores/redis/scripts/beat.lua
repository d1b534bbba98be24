-- worker, now_ms, until_ms, client id, run id of the server, how many to free; then of each
-- worker whose connection has gone: its id, and what it had in `workers` when that was seen.
-- Returns of each message: its id, its execution's, its number and body; and whether there
-- may be more to free: 1 or 0.
local worker, now_ms = ARGV[1], tonumber(ARGV[2])
call('HSET', P .. 'workers', worker, ARGV[3] .. '|' .. ARGV[4] .. '|' .. ARGV[5])
for at = 7, #ARGV, 2 do
  if call('HGET', P .. 'workers', ARGV[at]) == ARGV[at + 1] then
    call('HDEL', P .. 'workers', ARGV[at])
  end
end
for _, other in ipairs(call('HKEYS', P .. 'workers')) do
  local until_ms = until_of(other)
  if until_ms and until_ms < now_ms then
    call('HDEL', P .. 'workers', other)
  end
end
local is_more = bury(tonumber(ARGV[6]))
local messages = {}
for _, id in ipairs(call('SINTER', P .. 'waiting', P .. 'held:' .. worker)) do
  local waiting = call('HGETALL', P .. 'm:' .. id)
  for at = 1, #waiting, 2 do
    table.insert(messages, {waiting[at], id, waiting[at + 1]})
  end
end
return {messages, is_more}
