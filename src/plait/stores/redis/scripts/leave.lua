-- worker
free_all(ARGV[1])
call('HDEL', P .. 'workers', ARGV[1])
return true
