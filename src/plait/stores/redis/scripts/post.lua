-- id, message's id, body
local id, message = ARGV[1], ARGV[2]
if call('EXISTS', P .. 'x:' .. id) == 0 then
  return redis.error_reply('PLAIT unknown')
end
if call('SISMEMBER', P .. 'd:' .. id, message) == 0 then
  local number = call('INCR', P .. 'number')
  call('HSETNX', P .. 'm:' .. id, message, string.format('%016d', number) .. ARGV[3])
  settle(id)
end
return true
