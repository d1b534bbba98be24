-- Brings a store of schema 1 to 2: what is due is listed by workflow too.
if call('GET', P .. 'schema') == '1' then
  for _, priority in ipairs(call('ZRANGE', P .. 'priorities', 0, -1)) do
    call('DEL', P .. 'free:' .. priority)
  end
  for _, id in ipairs(call('ZRANGE', P .. 's:running', 0, -1)) do
    settle(id)
  end
  call('SET', P .. 'schema', 2)
end
return true
