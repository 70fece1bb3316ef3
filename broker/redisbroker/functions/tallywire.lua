#!lua name=tallywire
-- tallywire-version: 1
--
-- The write side of a channel's log, shared by everyone who publishes: gateways, workers in any
-- language, redis-cli. A gateway loads it with its own retention table; as it stands here it is a
-- complete library too, with the defaults:
--
--     redis-cli -x FUNCTION LOAD REPLACE < tallywire.lua
--
-- Keys.      <prefix>:{<channel>} is the stream, and the name of the pub/sub channel. Keys derived
--            from it share its hash tag, so that a cluster finds them on the same node.
-- Entries.   id <offset>-<stamp>; field e is the event's JSON (empty in the genesis entry that opens a
--            stream), field p is the stamp of the entry before. Offsets count without holes; stamps
--            are microseconds of this server's clock and strictly increase.
-- Doorbell.  "<offset>-<stamp> <stamp before> <event>", or "~ <event>" for a signal.
-- Errors.    "ERR tallywire <code> <text>"; codes are stable, texts are not.
--
-- A function is atomic but is not rolled back: everything is checked before the first write.
-- JSON is never parsed here. Numbers are doubles: offsets and stamps stay below 2^53. Stamps are kept as
-- texts where they can be; what has more than 14 digits is printed with '%.0f', '..' would round it.

-- Lines that end in a marker are replaced by the gateway that loads the library.
local SHARDED = false --@sharded
local DEFAULT = { maxlen = 10000, ttl = 86400000, dedupe = 600000 } --@default
local RETENTION = nil --@retention (by prefix)

local VERSION = 1
local MAX_EVENT = 69632 -- 64 KB of data and 4 KB of attributes
local MAX_ID = 512
local MAX_NUMBER = 9007199254740991
local SHORT = 99999999999999 -- what '..' prints exactly
local EXACT_BELOW = 1000 -- shorter streams are trimmed exactly
local GENESIS_TTL = 600000
local KEEP_LEAST = 60000
local DOORBELL = SHARDED and 'SPUBLISH' or 'PUBLISH'

local function fail(code, text)
  return redis.error_reply('ERR tallywire ' .. code .. ' ' .. text)
end

local function number(n)
  return string.format('%.0f', n)
end

-- channel_of returns the channel of a stream's key, or nil. Names that start with '_' are reserved;
-- gateways use _probe.<id>.
local function channel_of(keys)
  if #keys ~= 1 then
    return nil
  end
  local channel = string.match(keys[1], '^[^{}]*:{([A-Za-z0-9_.:-]+)}$')
  if not channel or #channel > 128 then
    return nil
  end
  if string.sub(channel, 1, 1) == '_' and string.sub(channel, 1, 7) ~= '_probe.' then
    return nil
  end
  return channel
end

local BAD_CHANNEL = 'one key wanted: <prefix>:{<channel>} with a channel of [A-Za-z0-9_.:-]{1,128}'

-- event_error names what is wrong with an event, or returns nil.
local function event_error(event)
  if not event or #event < 2 then
    return fail('invalid_event', 'the event is empty')
  end
  if #event > MAX_EVENT then
    return fail('event_too_large', 'at most ' .. number(MAX_EVENT) .. ' bytes')
  end
  if string.byte(event, 1) ~= 123 or string.byte(event, #event) ~= 125 then
    return fail('invalid_event', 'a JSON object is wanted')
  end
  return nil
end

local function integer(text, least, most)
  if not string.match(text, '^%d+$') or #text > 16 then
    return nil
  end
  local n = tonumber(text)
  if n < least or n > most then
    return nil
  end
  return n
end

-- retention returns the settings of the longest configured prefix.
local function retention(channel)
  if not RETENTION then
    return DEFAULT
  end
  local p = channel
  while p do
    local found = RETENTION[p]
    if found then
      return found
    end
    p = string.match(p, '^(.*):[^:]*$')
  end
  return DEFAULT
end

local function split(id)
  local offset, stamp = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(offset), tonumber(stamp)
end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- stream_info returns XINFO STREAM as a flat list, nil where there is no stream, or an error reply.
local function stream_info(key)
  local info = redis.pcall('XINFO', 'STREAM', key)
  if not info.err then
    return info, nil
  end
  if string.find(info.err, 'no such key', 1, true) then
    return nil, nil
  end
  return nil, info
end

local function field(list, name)
  for i = 1, #list, 2 do
    if list[i] == name then
      return list[i + 1]
    end
  end
  return nil
end

local function last_id(info)
  if info[7] == 'last-generated-id' then
    return info[8]
  end
  return field(info, 'last-generated-id')
end

local function previous(entry)
  return field(entry[2], 'p') or '0'
end

-- head returns {last id ever, oldest retained id, stamp before that}; empty texts stand for none.
local function head(info)
  if not info then
    return { '', '', '' }
  end
  local first = field(info, 'first-entry')
  if not first or not first[1] then
    return { last_id(info), '', '' }
  end
  return { last_id(info), first[1], previous(first) }
end

-- add_genesis opens a stream; stamp is a text.
local function add_genesis(key, stamp)
  local id = '1-' .. stamp
  redis.call('XADD', key, id, 'e', '', 'p', '0')
  return id
end

-- parse_options reads id=, maxlen= and ttl_ms= behind the event.
local function parse_options(args, settings)
  local o = { maxlen = settings.maxlen, ttl = settings.ttl, dedupe = settings.dedupe }
  for i = 2, #args do
    local name, value = string.match(args[i], '^([a-z_]+)=(.*)$')
    if name == 'id' and #value > 0 and #value <= MAX_ID then
      o.id = value
    elseif name == 'maxlen' then
      o.maxlen = integer(value, 1, 1000000000)
    elseif name == 'ttl_ms' then
      o.ttl = integer(value, 1000, 1000000000000)
    else
      return nil, fail('invalid_option', 'known are id=, maxlen= and ttl_ms=')
    end
    if not o.maxlen or not o.ttl then
      return nil, fail('invalid_option', name .. ' is no number in range')
    end
  end
  return o, nil
end

-- tail returns the id of the last entry, or of the last one ever where none is retained; nil where there
-- is no stream, or an error reply. XREVRANGE costs a third of XINFO.
local function tail(key)
  local entries = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', 1)
  if entries.err then
    return nil, entries
  end
  if entries[1] then
    return entries[1][1], nil
  end
  local info, failed = stream_info(key)
  return info and last_id(info), failed
end

local ZEROS = { '00000', '0000', '000', '00', '0', '' }

-- stamp_after returns this server's clock as a stamp, raised above the one before. Stamps of 16 digits
-- (until the year 2286) compare as texts.
local function stamp_after(before)
  local t = redis.call('TIME')
  local stamp = t[1] .. ZEROS[#t[2]] .. t[2]
  if #before == #stamp and before < stamp or before == '0' then
    return stamp
  end
  return number(math.max(tonumber(stamp), tonumber(before) + 1))
end

-- duplicate_of returns the cursor that an event id has got already, or nil, or an error reply.
local function duplicate_of(seen_key, offset, stamp)
  local seen = redis.pcall('GET', seen_key)
  if type(seen) == 'table' then
    return nil, seen
  end
  if seen then
    local seen_offset, seen_stamp = split(seen)
    -- A cursor beyond the head belongs to a stream that is gone, and the event with it.
    if seen_offset and seen_offset <= offset and seen_stamp <= stamp then
      return seen, nil
    end
  end
  return nil, nil
end

-- FCALL tw_publish 1 <prefix>:{<channel>} <event> [id=<dedupe key>] [maxlen=<n>] [ttl_ms=<n>]
--   -> [cursor, 0 | 1 for a duplicate]
local function publish(keys, args)
  local channel = channel_of(keys)
  if not channel then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local key, event = keys[1], args[1]
  local bad = event_error(event)
  if bad then
    return bad
  end
  local o = retention(channel)
  if #args > 1 then
    local wrong
    o, wrong = parse_options(args, o)
    if wrong then
      return wrong
    end
  end
  local last, failed = tail(key)
  if failed then
    return failed
  end
  local offset, before = 0, '0'
  if last then
    local text
    text, before = string.match(last, '^(%d+)%-(%d+)$')
    offset = tonumber(text)
    if offset >= MAX_NUMBER or #before > 16 then
      return fail('offset_overflow', 'the stream holds an id that is none of ours')
    end
  end
  local seen_key
  if o.id then
    seen_key = key .. ':seen:' .. o.id
    local seen, broken = duplicate_of(seen_key, offset, tonumber(before))
    if broken then
      return broken
    end
    if seen then
      -- Written also for a duplicate: a WAIT that follows then covers the first one too.
      redis.call('PEXPIRE', seen_key, o.dedupe)
      return { seen, 1 }
    end
  end
  -- A user who may append and not ring would leave an event behind an error: refuse before the first write.
  if not redis.acl_check_cmd(DOORBELL, key, '') or not redis.acl_check_cmd('PEXPIRE', key, '1')
    or seen_key and not redis.acl_check_cmd('SET', seen_key, '') then
    return fail('no_permission', 'the user needs ' .. DOORBELL .. ' on the channel, PEXPIRE and SET')
  end

  local stamp = stamp_after(before)
  if not last then
    add_genesis(key, stamp)
    offset, before = 1, stamp
    stamp = stamp_after(before)
  end
  local cursor = (offset < SHORT and offset + 1 or number(offset + 1)) .. '-' .. stamp
  redis.call('XADD', key, 'MAXLEN', o.maxlen < EXACT_BELOW and '=' or '~', o.maxlen, cursor, 'e', event, 'p', before)
  redis.call('PEXPIRE', key, o.ttl)
  if seen_key then
    redis.call('SET', seen_key, cursor, 'PX', o.dedupe)
  end
  redis.call(DOORBELL, key, cursor .. ' ' .. before .. ' ' .. event)
  return { cursor, 0 }
end

-- FCALL tw_open 1 <prefix>:{<channel>} -> head
-- Opens the stream where there is none, and keeps it from expiring while somebody asks: a gateway
-- asks every few seconds for each channel that it has subscribers for.
local function open(keys)
  local channel = channel_of(keys)
  if not channel then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local key = keys[1]
  local info, failed = stream_info(key)
  if failed then
    return failed
  end
  if not info then
    local id = add_genesis(key, number(now()))
    redis.call('PEXPIRE', key, GENESIS_TTL)
    return { id, id, '0' }
  end
  local left = redis.call('PTTL', key)
  if left >= 0 then
    local keep = math.max(KEEP_LEAST, math.min(GENESIS_TTL, retention(channel).ttl))
    if left < keep / 2 then
      redis.call('PEXPIRE', key, keep)
    end
  end
  return head(info)
end

-- append adds entries to a flat reply until limit or max_bytes is reached (one entry at least).
-- It returns the entries and bytes so far, and whether there is room for more.
local function append(reply, entries, count, bytes, limit, max_bytes)
  for i = 1, #entries do
    local id, event, before = entries[i][1], field(entries[i][2], 'e') or '', previous(entries[i])
    if count >= limit or (count > 0 and bytes + #event > max_bytes) then
      return count, bytes, false
    end
    reply[#reply + 1] = id
    reply[#reply + 1] = event
    reply[#reply + 1] = before
    count = count + 1
    bytes = bytes + #event
  end
  return count, bytes, true
end

local CHUNK = 64 -- entries fetched at a time, so that max_bytes also bounds what is copied

-- forward appends entries from the id start on.
local function forward(reply, key, start, limit, max_bytes)
  local count, bytes, room = 0, 0, true
  while room and count < limit do
    local entries = redis.call('XRANGE', key, start, '+', 'COUNT', math.min(CHUNK, limit - count))
    count, bytes, room = append(reply, entries, count, bytes, limit, max_bytes)
    if #entries < CHUNK then
      return
    end
    start = '(' .. entries[#entries][1]
  end
end

-- backward appends the last entries up to the id stop, in ascending order.
local function backward(reply, key, stop, limit, max_bytes)
  local flat, count, bytes, room = {}, 0, 0, true
  while room and count < limit do
    local entries = redis.call('XREVRANGE', key, stop, '-', 'COUNT', math.min(CHUNK, limit - count))
    count, bytes, room = append(flat, entries, count, bytes, limit, max_bytes)
    if #entries < CHUNK then
      break
    end
    stop = '(' .. entries[#entries][1]
  end
  for i = #flat - 2, 1, -3 do
    reply[#reply + 1] = flat[i]
    reply[#reply + 1] = flat[i + 1]
    reply[#reply + 1] = flat[i + 2]
  end
end

-- first_since returns the smallest offset whose entry, or the next one retained, has a stamp greater
-- than since. Stamps increase with offsets, so halving the range finds it.
local function first_since(key, first, last, since)
  local low, high = split(first), split(last) + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call('XRANGE', key, number(middle), '+', 'COUNT', 1)
    if #found == 0 then
      high = middle
    else
      local offset, stamp = split(found[1][1])
      if stamp > since then
        high = middle
      else
        low = offset + 1
      end
    end
  end
  return number(low)
end

-- FCALL_RO tw_read 1 <prefix>:{<channel>} from <offset> | since <stamp> | before <offset> <limit> <max bytes>
--   -> head, then id, event, stamp before, id, event, …
local function read(keys, args)
  if not channel_of(keys) then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local key, mode = keys[1], args[1]
  local at = integer(args[2] or '', 0, MAX_NUMBER)
  local limit = integer(args[3] or '', 1, 1000)
  local max_bytes = integer(args[4] or '', 1, 67108864)
  if #args ~= 4 or not at or not limit or not max_bytes then
    return fail('invalid_option', 'wanted: from|since|before <number> <limit 1..1000> <max bytes>')
  end
  local info, failed = stream_info(key)
  if failed then
    return failed
  end
  local reply = head(info)
  if mode == 'from' then
    if info then
      forward(reply, key, number(at), limit, max_bytes)
    end
  elseif mode == 'since' then
    if info and reply[2] ~= '' then
      forward(reply, key, first_since(key, reply[2], reply[1], at), limit, max_bytes)
    end
  elseif mode == 'before' then
    if info and at > 0 then
      backward(reply, key, number(at - 1), limit, max_bytes)
    end
  else
    return fail('invalid_option', 'unknown mode: from, since or before')
  end
  return reply
end

-- FCALL tw_signal 1 <prefix>:{<channel>} <event> -> subscribers reached on this node
-- An ephemeral event: heard by whoever listens now, kept nowhere.
local function signal(keys, args)
  if not channel_of(keys) then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local bad = event_error(args[1])
  if bad then
    return bad
  end
  if #args ~= 1 then
    return fail('invalid_option', 'a signal takes no options')
  end
  return redis.call(DOORBELL, keys[1], '~ ' .. args[1])
end

local DEAD_WINDOW = 256

-- FCALL tw_dead 1 <prefix>:_dead <channel> <cursor> <code> <reason> <event> <maxlen> -> id of the letter
-- Every gateway that meets an invalid event reports it; the letter is written once.
local function dead(keys, args)
  if #keys ~= 1 or not string.match(keys[1], '^[^{}]*:_dead$') then
    return fail('invalid_channel', 'one key wanted: <prefix>:_dead')
  end
  local maxlen = integer(args[6] or '', 1, 1000000000)
  if #args ~= 6 or not maxlen then
    return fail('invalid_option', 'wanted: channel, cursor, code, reason, event, maxlen')
  end
  if #args[5] > MAX_EVENT * 2 then
    return fail('event_too_large', 'at most ' .. number(MAX_EVENT * 2) .. ' bytes')
  end
  local key, channel, cursor = keys[1], args[1], args[2]
  local stop, checked = '+', 0
  while checked < DEAD_WINDOW do
    local letters = redis.pcall('XREVRANGE', key, stop, '-', 'COUNT', CHUNK)
    if letters.err then
      return letters
    end
    for i = 1, #letters do
      if field(letters[i][2], 'cursor') == cursor and field(letters[i][2], 'channel') == channel then
        return letters[i][1]
      end
    end
    if #letters < CHUNK then
      break
    end
    checked = checked + #letters
    stop = '(' .. letters[#letters][1]
  end
  return redis.call('XADD', key, 'MAXLEN', '~', maxlen, '*', 'channel', channel, 'cursor', cursor,
    'code', args[3], 'reason', args[4], 'event', args[5])
end

-- FCALL_RO tw_version 0 -> version of this library
local function version()
  return VERSION
end

redis.register_function('tw_publish', publish)
-- Reading heads and signalling go on while memory is short; a genesis entry is all that they can add.
redis.register_function{ function_name = 'tw_open', callback = open, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'tw_signal', callback = signal, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'tw_read', callback = read, flags = { 'no-writes' } }
redis.register_function('tw_dead', dead)
redis.register_function{ function_name = 'tw_version', callback = version, flags = { 'no-writes' } }
