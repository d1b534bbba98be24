-- worker, ids...
for at = 2, #ARGV do
  if is_whole(ARGV[at]) and call('HGET', P .. 'x:' .. ARGV[at], 'owner') == ARGV[1] then
    free(ARGV[at], ARGV[1])
    settle(ARGV[at])
  end
end
return true
