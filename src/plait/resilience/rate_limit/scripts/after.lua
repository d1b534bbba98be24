-- Answers: the moment, what may pass at once, what is left of it, the µs until all is there
-- again, then for each weight the µs to wait: 0 is admitted. Behind one that waits and is not
-- admitted nobody is tried: nobody overtakes.
local index = 5
for _ = 1, tonumber(ARGV[4]) do
  give_back(tonumber(ARGV[index]), tonumber(ARGV[index + 1]))
  index = index + 2
end
local answers, blocked = {}, 0
for number = index, #ARGV do
  local weight = tonumber(ARGV[number])
  local wait = blocked
  if wait == 0 then wait = math.ceil(take(math.abs(weight))) end
  if weight > 0 then blocked = wait end
  answers[#answers + 1] = wait
end
if #ARGV > 4 then
  save()
  redis.call('PEXPIRE', KEYS[1], text(math.ceil(reset_after() / 1000) + 1000))
end
return {now, capacity, left(), math.ceil(reset_after()), unpack(answers)}
