-- index, number below which to look, how many ids to look at, how many rows to return, or 0
-- to count them; then
-- what is asked for, '' is anything: since_ms, until_ms, text, workflow, error_code, parent,
-- lane, tag, tenant; then statuses...
-- Returns the rows that fit, or how many did; and the number below which to go on; nil: there
-- are no more.
local index, ids_max, rows_max = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local since_ms, until_ms = tonumber(ARGV[5]), tonumber(ARGV[6])
local text, tag, statuses = ARGV[7], ARGV[12], {}
local tenant = ARGV[13]
for at = 14, #ARGV do
  statuses[ARGV[at]] = true
end

local function fits(id)
  if call('TYPE', P .. 'x:' .. id).ok ~= 'hash' then
    return false
  end
  local row = call('HMGET', P .. 'x:' .. id, 'workflow', 'error_code', 'parent', 'lane',
    'status', 'created_at_ms', 'tenant')
  for at = 1, 4 do
    if ARGV[7 + at] ~= '' and ARGV[7 + at] ~= row[at] then
      return false
    end
  end
  local created_at_ms = tonumber(row[6])
  if not created_at_ms or (since_ms and created_at_ms < since_ms)
      or (until_ms and created_at_ms >= until_ms) or (#ARGV > 13 and not statuses[row[5]])
      or (tenant ~= '' and tenant ~= (row[7] or 'default'))
      or (tag ~= '' and not call('ZSCORE', P .. 't:' .. tag, id)) then
    return false
  end
  return text == ''
    or string.find(call('HGET', P .. 'x:' .. id, 'input'), text, 1, true) ~= nil
end

local ids = call('ZRANGE', index, '(' .. ARGV[2], '-inf', 'BYSCORE', 'REV', 'LIMIT', 0,
  ids_max, 'WITHSCORES')
local rows, count = {}, 0
for at = 1, #ids, 2 do
  local is_found = fits(ids[at])
  if is_found and rows_max > 0 then
    table.insert(rows, call('HGETALL', P .. 'x:' .. ids[at]))
    if #rows == rows_max then
      return {rows, ids[at + 1]}
    end
  elseif is_found then
    count = count + 1
  end
end
return {rows_max > 0 and rows or count, #ids == 2 * ids_max and ids[#ids] or false}
