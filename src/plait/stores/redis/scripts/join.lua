-- worker, client id, run id of the server
call('HSET', P .. 'workers', ARGV[1], '|' .. ARGV[2] .. '|' .. ARGV[3])
return true
