-- worker, how many to free
-- Returns whether there may be more: 1 or 0.
call('HDEL', P .. 'workers', ARGV[1])
local count = tonumber(ARGV[2])
return free_some(ARGV[1], count) == count and 1 or 0
