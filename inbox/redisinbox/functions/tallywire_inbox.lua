#!lua name=tallywire_inbox
-- tallywire-version: 1
--
-- The inbox: workers add to it with a plain XADD, gateways take from it. Gateways call these functions.
--
-- Keys.      <prefix>:_inbox            stream  fields channel and event; others are ignored, and of several of one
--                                               name the first counts. Entries that are done are deleted
--            {<prefix>:_inbox}:lease    string  token of the gateway that may take; expires with its lease. The
--                                               hash tag puts it beside the stream in a cluster
-- Group.     "gateways" with one consumer, "gateway": whoever holds the lease is it.
-- Clock.     TIME is the only one.
--
-- What takes is fenced: it looks at the lease and takes in one step, so that a gateway that was stopped, or
-- whose command was under way for long, takes nothing after another gateway has begun.

local VERSION = 1
local GROUP = 'gateways'
local CONSUMER = 'gateway'
local MAX_CHANNEL = 256
local MAX_EVENT = 65537 -- one more than an event may have
local ROUNDS = 16

local function wrong(want)
  return redis.error_reply('ERR tallywire invalid_option wanted: ' .. want)
end

local function no_group(reply)
  return reply.err and string.find(reply.err, '^%-?NOGROUP') ~= nil
end

-- FCALL tw_inbox_hold 2 <inbox> <lease> <token> <ttl ms> -> [held 0|1, holder, ms left, entries, ms since the oldest]
local function hold(keys, args)
  local token, ttl = args[1], tonumber(args[2])
  if #keys ~= 2 or #args ~= 2 or token == '' or not ttl or ttl < 1 then
    return wrong('keys inbox, lease; token, ttl')
  end
  local entries = redis.call('XLEN', keys[1]) -- before the first write: it may be of another type
  local age = 0
  if entries > 0 then
    local first = redis.call('XRANGE', keys[1], '-', '+', 'COUNT', 1)[1]
    local t = redis.call('TIME')
    age = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) - tonumber(string.match(first[1], '^%d+'))
  end
  local holder = redis.call('GET', keys[2])
  if holder and holder ~= token then
    return { 0, holder, redis.call('PTTL', keys[2]), entries, math.max(age, 0) }
  end
  redis.call('SET', keys[2], token, 'PX', ttl)
  return { 1, token, ttl, entries, math.max(age, 0) }
end

-- FCALL tw_inbox_release 1 <lease> <token> -> 1, or 0 where the token does not hold it
local function release(keys, args)
  if #keys ~= 1 or #args ~= 1 then
    return wrong('key lease; token')
  end
  if redis.call('GET', keys[1]) ~= args[1] then
    return 0
  end
  redis.call('DEL', keys[1])
  return 1
end

-- pending claims entries with ids greater than after that were taken and are not done. It returns them; or
-- nil and whether there may be more, since those whose entries were deleted are cleared away some at a time.
local function pending(key, after, count)
  local from = '(' .. after
  for _ = 1, ROUNDS do
    local reply = redis.pcall('XAUTOCLAIM', key, GROUP, CONSUMER, 0, from, 'COUNT', count)
    if reply.err then
      return reply
    elseif #reply[2] > 0 then
      return reply[2]
    elseif reply[1] == '0-0' then
      return nil, false
    end
    from = reply[1]
  end
  return nil, true
end

-- put appends an entry to a reply: id, channel, event, bytes of the event.
local function put(out, entry)
  local channel, event
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'channel' then
      channel = channel or fields[i + 1]
    elseif fields[i] == 'event' then
      event = event or fields[i + 1]
    end
  end
  channel, event = channel or '', event or ''
  out[#out + 1] = entry[1]
  out[#out + 1] = string.sub(channel, 1, MAX_CHANNEL)
  out[#out + 1] = string.sub(event, 1, MAX_EVENT)
  out[#out + 1] = #event
end

-- FCALL tw_inbox_take 2 <inbox> <lease> <token> <after> <count>
--   -> [lost] | [again] | [claimed | new, id, channel, event, bytes, …]
local function take(keys, args)
  local token, after, count = args[1], args[2], tonumber(args[3])
  if #keys ~= 2 or #args ~= 3 or not string.match(after, '^%d+%-%d+$') or not count or count < 1 or count > 1000 then
    return wrong('keys inbox, lease; token, after, count')
  end
  if redis.call('GET', keys[2]) ~= token then
    return { 'lost' }
  end
  local entries, more = pending(keys[1], after, count)
  if entries and no_group(entries) then
    redis.call('XGROUP', 'CREATE', keys[1], GROUP, '0', 'MKSTREAM')
    entries, more = nil, false
  end
  local out = { 'claimed' }
  if more then
    return { 'again' }
  elseif not entries then
    out[1] = 'new'
    local streams = redis.call('XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', count, 'STREAMS', keys[1], '>')
    entries = streams and streams[1][2] or {}
  elseif entries.err then
    return entries
  end
  for i = 1, #entries do
    put(out, entries[i])
  end
  return out
end

-- FCALL tw_inbox_done 1 <inbox> <id> … -> how many were there
local function done(keys, args)
  if #keys ~= 1 or #args < 1 or #args > 1000 then
    return wrong('key inbox; 1 to 1000 ids')
  end
  local reply = redis.pcall('XACK', keys[1], GROUP, unpack(args))
  if type(reply) == 'table' and reply.err and not no_group(reply) then
    return reply
  end
  return redis.call('XDEL', keys[1], unpack(args))
end

-- FCALL_RO tw_inbox_version 0 -> version of this library
local function version()
  return VERSION
end

-- All of it goes on while memory is short: it frees some.
redis.register_function{ function_name = 'tw_inbox_hold', callback = hold, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'tw_inbox_release', callback = release, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'tw_inbox_take', callback = take, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'tw_inbox_done', callback = done, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'tw_inbox_version', callback = version, flags = { 'no-writes' } }
