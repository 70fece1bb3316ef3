#!lua name=tallywire_receipt
-- tallywire-version: 1
--
-- The last batch of commands of a session, and its answer. Gateways call these functions.
--
-- Key.       <prefix>:session:{<user>/<session>}:commands, both names in base64url   hash
--            n  number of the last batch
--            t  token of who began it last
--            u  end of the lease, in microseconds; gone once the batch is closed
--            a  the answer; gone where it was too large
-- Clock.     TIME, in microseconds, is the only one. Numbers are doubles, exact below 2^53.
--
-- A function is atomic but is not rolled back: everything is checked before the first write. A call that is
-- repeated with the same arguments does nothing the second time.

local VERSION = 1

local function wrong(want)
  return redis.error_reply('ERR tallywire invalid_option wanted: ' .. want)
end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local function begin(key, seq, token, lease, ttl)
  redis.call('DEL', key)
  redis.call('HSET', key, 'n', seq, 't', token, 'u', string.format('%.0f', now() + lease * 1000))
  redis.call('PEXPIRE', key, ttl)
  return { 'begun' }
end

-- FCALL tw_receipt_open 1 <key> <number> <token> <lease ms> <ttl ms>
--   -> [begun] | [answer, answer] | [busy] | [order, expected number]
local function open(keys, args)
  local seq, token, lease, ttl = tonumber(args[1]), args[2], tonumber(args[3]), tonumber(args[4])
  if #keys ~= 1 or #args ~= 4 or not seq or token == '' or not lease or not ttl then
    return wrong('key; number, token, lease, ttl')
  end
  local state = redis.call('HMGET', keys[1], 'n', 't', 'u', 'a')
  local last = state[1] and tonumber(state[1])
  if not last then
    return begin(keys[1], args[1], token, lease, ttl)
  end
  if state[3] then -- not closed
    if seq == last and state[2] == token then
      return { 'begun' }
    elseif seq ~= last and seq ~= last + 1 then
      return { 'order', string.format('%.0f', last) }
    elseif now() < tonumber(state[3]) then
      return { 'busy' }
    elseif seq == last then
      return begin(keys[1], args[1], token, lease, ttl)
    end
    return { 'order', string.format('%.0f', last) }
  elseif seq == last + 1 then
    return begin(keys[1], args[1], token, lease, ttl)
  elseif seq == last and state[4] then
    redis.call('PEXPIRE', keys[1], ttl)
    return { 'answer', state[4] }
  end
  return { 'order', string.format('%.0f', last + 1) }
end

-- FCALL tw_receipt_close 1 <key> <number> <token> <ttl ms> <kept 0|1> <answer> -> 1, or 0 where another has begun it
local function close(keys, args)
  local seq, token, ttl, kept = tonumber(args[1]), args[2], tonumber(args[3]), args[4]
  if #keys ~= 1 or #args ~= 5 or not seq or token == '' or not ttl or (kept ~= '0' and kept ~= '1') then
    return wrong('key; number, token, ttl, kept, answer')
  end
  local state = redis.call('HMGET', keys[1], 'n', 't', 'u')
  if state[1] then
    if tonumber(state[1]) ~= seq or state[2] ~= token then
      return 0
    elseif not state[3] then
      return 1
    end
  end
  redis.call('HSET', keys[1], 'n', args[1], 't', token)
  redis.call('HDEL', keys[1], 'u')
  if kept == '1' then
    redis.call('HSET', keys[1], 'a', args[5])
  end
  redis.call('PEXPIRE', keys[1], ttl)
  return 1
end

-- FCALL_RO tw_receipt_version 0 -> version of this library
local function version()
  return VERSION
end

redis.register_function{ function_name = 'tw_receipt_open', callback = open }
-- What has been done is remembered also while memory is short; there is no close without an open.
redis.register_function{ function_name = 'tw_receipt_close', callback = close, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'tw_receipt_version', callback = version, flags = { 'no-writes' } }
