-- The server's clock, in microseconds: one clock for all who share the limit.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
