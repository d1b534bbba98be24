-- Answers: the moment, what is left at once, µs until all is there again, then for each weight
-- asked or waited for the µs to wait: 0 is admitted. After the first of the waiting that is
-- not, the rest is not tried: nobody overtakes.
local returned, asked, waiting = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local index = 7
for _ = 1, returned do
  give_back(tonumber(ARGV[index]), tonumber(ARGV[index + 1]))
  index = index + 2
end
local answers = {}
for number = 1, asked + waiting do
  local wait = math.ceil(take(tonumber(ARGV[index])))
  answers[number] = wait
  index = index + 1
  if number > asked and wait > 0 then break end
end
if returned + asked + waiting > 0 then
  save()
  redis.call('PEXPIRE', KEYS[1], text(math.ceil(reset_after() / 1000) + 1000))
end
return {now, capacity, left(), math.ceil(reset_after()), unpack(answers)}
