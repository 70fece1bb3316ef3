#!lua name=tallywire_presence
-- tallywire-version: 1
--
-- Who is present in a channel. Gateways call these functions; workers need only read. It is a library of
-- its own, so that the workers' contract (library tallywire) stays small.
--
-- Keys.      K = <prefix>:{<channel>}; all of a channel's keys share its hash tag.
--            K:members                 hash   user -> the member as JSON: {"user","name","state","since",
--                                             "sessions","status"}, since in microseconds
--            K:members:order           zset   users, all of score 0: pages go by user
--            K:members:sessions        hash   id -> session (MessagePack), id = <user> NUL <session>
--            K:members:tabs            zset   ids, all of score 0: a user's sessions are a range
--            K:members:due             zset   ids in grace, by its end (microseconds)
--            K:members:at:<owner>      set    ids that a gateway's incarnation answers for
--            K:members:fence:<owner>   string there while a reaped incarnation is refused
--            K:members:moved:<id>      list   claims that a later one has replaced
--            K:members:version         string version of the last change
--            <prefix>:{<owner>}:channels, :closed     the channels of an incarnation, <gateway>/<number>
--            <prefix>:gateway:<id>     hash   the lease: i incarnation, r refreshed, d description
--            <prefix>:user:<id>        hash   session -> <owner> LF <claim> LF <JSON>
-- Doorbell.  "% <version> <version before> <json>" on K, the member with an "action".
-- Clock.     TIME, in microseconds, is the only one. Numbers are doubles, exact below 2^53.
--
-- A function is atomic but is not rolled back: everything is checked before the first write. Status
-- documents are never parsed here.

local SHARDED = false --@sharded

local VERSION = 1
local MAX_SESSIONS = 256 -- of a member
local MAX_USER_SESSIONS = 1000
local FENCE_TTL = 3600000
local MOVED_TTL = 600000
local MOVED_KEPT = 16
local VERSION_TTL = 86400000 -- of an empty channel's version
local DOORBELL = SHARDED and 'SPUBLISH' or 'PUBLISH'

local function fail(code, text)
  return redis.error_reply('ERR tallywire ' .. code .. ' ' .. text)
end

local function number(n)
  return string.format('%.0f', n)
end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- base returns the key of the channel's stream, from which the others are made, or nil.
local function base(keys)
  if #keys ~= 1 then
    return nil
  end
  local channel = string.match(keys[1], '^[^{}]*:{([A-Za-z0-9_.:-]+)}$')
  if not channel or #channel > 128 or string.sub(channel, 1, 1) == '_' then
    return nil
  end
  return keys[1]
end

local BAD_CHANNEL = 'one key wanted: <prefix>:{<channel>} with a channel of [A-Za-z0-9_.:-]{1,128}'

local function wrong(want)
  return fail('invalid_option', 'wanted: ' .. want)
end

local function fenced(k, owner)
  return redis.call('EXISTS', k .. ':members:fence:' .. owner) == 1
end

-- Sessions. Fields: u user, n name, o owner, c claim, l live, g grace, x end of grace, e entered,
-- s since (of the member), d status, a when that was set.

local function get(k, id)
  local packed = redis.call('HGET', k .. ':members:sessions', id)
  return packed and cmsgpack.unpack(packed)
end

local function put(k, id, s)
  redis.call('HSET', k .. ':members:sessions', id, cmsgpack.pack(s))
end

local function remove(k, id, s)
  redis.call('HDEL', k .. ':members:sessions', id)
  redis.call('ZREM', k .. ':members:tabs', id)
  redis.call('ZREM', k .. ':members:due', id)
  redis.call('SREM', k .. ':members:at:' .. s.o, id)
end

-- own marks a session as the owner's.
local function own(k, id, s, owner)
  if s.o == owner then
    return
  end
  if s.o then
    redis.call('SREM', k .. ':members:at:' .. s.o, id)
  end
  redis.call('SADD', k .. ':members:at:' .. owner, id)
  s.o = owner
end

local function tabs(k, user)
  return redis.call('ZRANGEBYLEX', k .. ':members:tabs', '[' .. user .. '\0', '(' .. user .. '\1')
end

-- tell gives a change its version and publishes it. An empty channel's version is kept for a day.
local function tell(k, clock, action, body)
  local key = k .. ':members:version'
  local before = redis.call('GET', key) or '0'
  local version = clock
  if version <= tonumber(before) then
    version = tonumber(before) + 1
  end
  if redis.call('EXISTS', k .. ':members') == 1 then
    redis.call('SET', key, number(version))
  else
    redis.call('SET', key, number(version), 'PX', VERSION_TTL)
  end
  redis.call(DOORBELL, k, '% ' .. number(version) .. ' ' .. before .. ' {"action":"' .. action .. '",' .. string.sub(body, 2))
end

local function body(user, name, state, since, sessions, status)
  return '{"user":' .. cjson.encode(user) .. ',"name":' .. cjson.encode(name) .. ',"state":"' .. state
    .. '","since":' .. number(since) .. ',"sessions":' .. sessions
    .. (status ~= '' and ',"status":' .. status or '') .. '}'
end

-- settle makes a member anew from its sessions, and tells what others can see of it. last is one of its
-- sessions, for a member that has none left.
local function settle(k, user, last, clock)
  local before = redis.call('HGET', k .. ':members', user)
  local ids = tabs(k, user)
  if #ids == 0 then
    if before then
      redis.call('HDEL', k .. ':members', user)
      redis.call('ZREM', k .. ':members:order', user)
      tell(k, clock, 'leave', body(user, last.n, last.l and 'live' or 'grace', last.s, 0, ''))
    end
    return
  end
  local packed = redis.call('HMGET', k .. ':members:sessions', unpack(ids))
  local state, entered, set, name, status, since = 'grace', -1, 0, '', '', nil
  for i = 1, #packed do
    local s = cmsgpack.unpack(packed[i])
    since = s.s
    if s.l then
      state = 'live'
    end
    if s.e > entered then
      entered, name = s.e, s.n
    end
    if s.a > set then
      set, status = s.a, s.d
    end
  end
  local after = body(user, name, state, since, #ids, status)
  if after == before then
    return
  end
  redis.call('HSET', k .. ':members', user, after)
  if not before then
    redis.call('ZADD', k .. ':members:order', 0, user)
  end
  tell(k, clock, before and 'update' or 'join', after)
end

-- next_due returns how many microseconds remain until the next grace ends, -1 where there is none.
local function next_due(k, clock)
  local first = redis.call('ZRANGE', k .. ':members:due', 0, 0, 'WITHSCORES')
  if #first == 0 then
    return -1
  end
  return math.max(0, tonumber(first[2]) - clock)
end

-- FCALL tw_presence_enter 1 K <owner> <claim> <user> <session> <name> <grace µs> set|keep <status>
--   -> [ok | void | moved | full, status]
-- A status of '' is none. With keep it is only for a session that is new, and the session's is returned.
local function enter(keys, args)
  local k = base(keys)
  if not k then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local owner, claim, user, name, grace, mode, status = args[1], args[2], args[3], args[5], tonumber(args[6]), args[7], args[8]
  if #args ~= 8 or not grace or (mode ~= 'set' and mode ~= 'keep') then
    return wrong('owner, claim, user, session, name, grace, set|keep, status')
  end
  if fenced(k, owner) then
    return { 'void', '' }
  end
  local id = user .. '\0' .. args[4]
  local moved = k .. ':members:moved:' .. id
  if redis.call('LPOS', moved, claim) then
    return { 'moved', '' }
  end
  local clock = now()
  local s = get(k, id)
  if not s then
    local others = tabs(k, user)
    if #others >= MAX_SESSIONS then
      return { 'full', '' }
    end
    s = { u = user, c = claim, d = status, a = status ~= '' and clock or 0, s = clock }
    if others[1] then
      s.s = get(k, others[1]).s
    end
    redis.call('ZADD', k .. ':members:tabs', 0, id)
  elseif s.c ~= claim then
    redis.call('LPUSH', moved, s.c)
    redis.call('LTRIM', moved, 0, MOVED_KEPT - 1)
    redis.call('PEXPIRE', moved, MOVED_TTL)
    s.c = claim
  end
  if mode == 'set' then
    s.d, s.a = status, clock
  end
  if s.x and s.x > 0 then
    redis.call('ZREM', k .. ':members:due', id)
  end
  s.n, s.g, s.l, s.x, s.e = name, grace, true, 0, clock
  own(k, id, s, owner)
  put(k, id, s)
  settle(k, user, s, clock)
  return { 'ok', mode == 'keep' and s.d or '' }
end

-- FCALL tw_presence_leave 1 K <owner> <claim> <user> <session> <grace µs> -> [ok | void, µs of grace left]
local function leave(keys, args)
  local k = base(keys)
  if not k then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local owner, claim, user, grace = args[1], args[2], args[3], tonumber(args[5])
  if #args ~= 5 or not grace then
    return wrong('owner, claim, user, session, grace')
  end
  if fenced(k, owner) then
    return { 'void', 0 }
  end
  local id = user .. '\0' .. args[4]
  local s = get(k, id)
  if not s or s.c ~= claim then
    return { 'ok', 0 }
  end
  local clock = now()
  if grace <= 0 then
    remove(k, id, s)
    settle(k, user, s, clock)
    return { 'ok', 0 }
  end
  if s.l then
    s.l, s.x = false, clock + grace
    own(k, id, s, owner)
    put(k, id, s)
    redis.call('ZADD', k .. ':members:due', number(s.x), id)
    settle(k, user, s, clock)
  end
  return { 'ok', math.max(0, s.x - clock) }
end

-- FCALL tw_presence_expire 1 K <limit> -> µs until the next grace ends, -1 for none
local function expire(keys, args)
  local k = base(keys)
  if not k then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local limit = tonumber(args[1])
  if #args ~= 1 or not limit then
    return wrong('limit')
  end
  local clock = now()
  local ids = redis.call('ZRANGEBYSCORE', k .. ':members:due', '-inf', number(clock), 'LIMIT', 0, limit)
  local left = {}
  for i = 1, #ids do
    local s = get(k, ids[i])
    if s and not s.l then
      remove(k, ids[i], s)
      left[#left + 1] = s
    else
      redis.call('ZREM', k .. ':members:due', ids[i])
    end
  end
  for i = 1, #left do
    settle(k, left[i].u, left[i], clock)
  end
  return next_due(k, clock)
end

-- FCALL tw_presence_reap 1 K <dead owner> <heir> <seen µs> <limit> -> [ok | void, sessions left, µs until the next grace ends]
-- Fences the dead owner out, ends its sessions whose grace, counted from seen, is over, and gives
-- the others to the heir. A member is told once, whatever the number of its sessions among them.
local function reap(keys, args)
  local k = base(keys)
  if not k then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local dead, heir, seen, limit = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  if #args ~= 4 or not seen or not limit or dead == heir then
    return wrong('dead owner, heir, seen, limit')
  end
  if fenced(k, heir) then
    return { 'void', 0, -1 }
  end
  redis.call('SET', k .. ':members:fence:' .. dead, '1', 'PX', FENCE_TTL)
  local clock = now()
  local at = k .. ':members:at:' .. dead
  local ids = redis.call('SRANDMEMBER', at, limit)
  local changed = {}
  for i = 1, #ids do
    local id = ids[i]
    local s = get(k, id)
    if not s or s.o ~= dead then
      redis.call('SREM', at, id)
    else
      local was = s.l
      local x = was and seen + s.g or s.x
      if x <= clock then
        remove(k, id, s)
        changed[s.u] = s
      else
        s.l, s.x = false, x
        own(k, id, s, heir)
        put(k, id, s)
        redis.call('ZADD', k .. ':members:due', number(x), id)
        if was then
          changed[s.u] = changed[s.u] or s
        end
      end
    end
  end
  for user, s in pairs(changed) do
    s.l = false
    settle(k, user, s, clock)
  end
  return { 'ok', redis.call('SCARD', at), next_due(k, clock) }
end

-- FCALL_RO tw_presence_members 1 K <after> <limit> <max bytes> -> [version, members, sessions, next, member, …]
local CHUNK = 50

local function members(keys, args)
  local k = base(keys)
  if not k then
    return fail('invalid_channel', BAD_CHANNEL)
  end
  local after, limit, room = args[1], tonumber(args[2]), tonumber(args[3])
  if #args ~= 3 or not limit or not room then
    return wrong('after, limit, max bytes')
  end
  local reply = {
    redis.call('GET', k .. ':members:version') or '0', redis.call('HLEN', k .. ':members'),
    redis.call('HLEN', k .. ':members:sessions'), '',
  }
  local from, count = after == '' and '-' or '(' .. after, 0
  while true do
    local users = redis.call('ZRANGEBYLEX', k .. ':members:order', from, '+', 'LIMIT', 0, CHUNK)
    if #users == 0 then
      return reply
    end
    local found = redis.call('HMGET', k .. ':members', unpack(users))
    for i = 1, #users do
      if count >= limit or (count > 0 and room < #found[i]) then
        reply[4] = after
        return reply
      end
      reply[#reply + 1] = found[i]
      room = room - #found[i]
      count = count + 1
      after = users[i]
    end
    if #users < CHUNK then
      return reply
    end
    from = '(' .. after
  end
end

-- FCALL tw_presence_list 2 <channels> <closed> <number to add> <channel> … -> 1, or 0 where the list is closed
-- Adds the first ones and removes the others.
local function list(keys, args)
  local adding = tonumber(args[1])
  if #keys ~= 2 or not adding then
    return wrong('keys channels, closed; how many to add, channel, …')
  end
  if redis.call('EXISTS', keys[2]) == 1 then
    return 0
  end
  for i = 2, #args do
    redis.call(i - 1 <= adding and 'SADD' or 'SREM', keys[1], args[i])
  end
  return 1
end

-- FCALL tw_presence_acquire 1 <lease> <ttl ms> <description> -> incarnation
local function acquire(keys, args)
  local ttl = tonumber(args[1])
  if #keys ~= 1 or #args ~= 2 or not ttl then
    return wrong('key lease; ttl, description')
  end
  local clock = now()
  local before = tonumber(redis.call('HGET', keys[1], 'i') or '0')
  local incarnation = number(math.max(clock, before + 1))
  redis.call('HSET', keys[1], 'i', incarnation, 'r', number(clock), 'd', args[2])
  redis.call('PEXPIRE', keys[1], ttl)
  return incarnation
end

-- FCALL tw_presence_refresh 1 <lease> <incarnation> <ttl ms> <description> -> 1, or 0 where it is not held
local function refresh(keys, args)
  local ttl = tonumber(args[2])
  if #keys ~= 1 or #args ~= 3 or not ttl then
    return wrong('key lease; incarnation, ttl, description')
  end
  if redis.call('HGET', keys[1], 'i') ~= args[1] then
    return 0
  end
  redis.call('HSET', keys[1], 'r', number(now()), 'd', args[3])
  redis.call('PEXPIRE', keys[1], ttl)
  return 1
end

-- FCALL tw_presence_release 1 <lease> <incarnation> -> clock
local function release(keys, args)
  if #keys ~= 1 or #args ~= 1 then
    return wrong('key lease; incarnation')
  end
  if redis.call('HGET', keys[1], 'i') == args[1] then
    redis.call('DEL', keys[1])
  end
  return number(now())
end

-- FCALL_RO tw_presence_lease 1 <lease> -> [incarnation or '', refreshed, ms left, clock, description]
local function lease(keys)
  if #keys ~= 1 then
    return wrong('key lease')
  end
  local l = redis.call('HMGET', keys[1], 'i', 'r', 'd')
  return { l[1] or '', l[2] or '0', redis.call('PTTL', keys[1]), number(now()), l[3] or '' }
end

-- FCALL tw_presence_session 1 <user> <session> <owner> <claim> <first 0|1> <ttl ms> <JSON> -> ok | moved | full
local function session(keys, args)
  local ttl = tonumber(args[5])
  if #keys ~= 1 or #args ~= 6 or not ttl then
    return wrong('key user; session, owner, claim, first, ttl, JSON')
  end
  local before = redis.call('HGET', keys[1], args[1])
  if before then
    if args[4] ~= '1' and string.match(before, '^[^\n]*\n([^\n]*)\n') ~= args[3] then
      return 'moved'
    end
  elseif redis.call('HLEN', keys[1]) >= MAX_USER_SESSIONS then
    return 'full'
  end
  redis.call('HSET', keys[1], args[1], args[2] .. '\n' .. args[3] .. '\n' .. args[6])
  redis.call('PEXPIRE', keys[1], ttl)
  return 'ok'
end

-- FCALL tw_presence_unsession 1 <user> <session> <claim> -> ok
local function unsession(keys, args)
  if #keys ~= 1 or #args ~= 2 then
    return wrong('key user; session, claim')
  end
  local before = redis.call('HGET', keys[1], args[1])
  if before and string.match(before, '^[^\n]*\n([^\n]*)\n') == args[2] then
    redis.call('HDEL', keys[1], args[1])
  end
  return 'ok'
end

-- FCALL_RO tw_presence_version 0 -> version of this library
local function version()
  return VERSION
end

local function register(name, callback, flags)
  redis.register_function{ function_name = 'tw_presence_' .. name, callback = callback, flags = flags }
end

register('enter', enter, {})
register('session', session, {})
-- What frees memory, and what keeps a gateway alive, goes on while memory is short.
register('leave', leave, { 'allow-oom' })
register('expire', expire, { 'allow-oom' })
register('reap', reap, { 'allow-oom' })
register('list', list, { 'allow-oom' })
register('acquire', acquire, { 'allow-oom' })
register('refresh', refresh, { 'allow-oom' })
register('release', release, { 'allow-oom' })
register('unsession', unsession, { 'allow-oom' })
register('members', members, { 'no-writes' })
register('lease', lease, { 'no-writes' })
register('version', version, { 'no-writes' })
