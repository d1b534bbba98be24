-- '1' to let in what a lane has room for, lanes...
-- Returns of each that is wrong: the lane, '1' when more are in it than it takes and '0' when
-- executions wait though it has room, '1' when mended.
local mends, found = ARGV[1] == '1', {}

local function maximum_of(id)
  return is_whole(id) and tonumber(call('HGET', P .. 'x:' .. id, 'lane_max'))
end

-- Whether one waits that there is room for.
local function is_stranded(lane)
  for _, id in ipairs(call('ZRANGE', P .. 'queue:' .. lane, 0, -1)) do
    local lane_max = maximum_of(id)
    if lane_max then
      return not is_full(lane, lane_max)
    end
  end
  return false
end

-- As plait.stores.derived has it.
local function is_overfull(lane)
  local maxima = {}
  for _, id in ipairs(call('SMEMBERS', P .. 'lane:' .. lane)) do
    local lane_max = maximum_of(id)
    if lane_max then
      table.insert(maxima, lane_max)
    end
  end
  table.sort(maxima)
  for place, lane_max in ipairs(maxima) do
    if place > lane_max then
      return true
    end
  end
  return false
end

for at = 2, #ARGV do
  local lane = ARGV[at]
  if is_overfull(lane) then
    table.insert(found, {lane, '1', '0'})
  elseif is_stranded(lane) then
    if mends then
      let_in(lane)
    end
    table.insert(found, {lane, '0', ARGV[1]})
  end
end
return found
