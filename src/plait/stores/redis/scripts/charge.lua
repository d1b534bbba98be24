-- worker, now_ms, until_ms
-- Returns whether the worker looks after the store: 1 or 0.
local until_ms, worker = string.match(call('GET', P .. 'charge') or '', '^(%d+)|(.*)$')
if until_ms and worker ~= ARGV[1] and tonumber(until_ms) > tonumber(ARGV[2]) then
  return 0
end
call('SET', P .. 'charge', ARGV[3] .. '|' .. ARGV[1])
return 1
