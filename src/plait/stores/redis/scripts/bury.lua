-- how many to free of what dead workers hold
-- Returns whether there may be more: 1 or 0.
return bury(tonumber(ARGV[1]))
