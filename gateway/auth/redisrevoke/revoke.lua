-- Adds one revocation, and tells the gateways.
--
-- KEYS[1]  the list, <prefix>:_revoked; its name is also the pub/sub channel
-- ARGV[1]  't' for a token, 'u' for a user
-- ARGV[2]  the token's id, or the user
-- ARGV[3]  for a user: tokens issued before this are revoked, microseconds; '' for now
-- ARGV[4]  when the revocation expires, milliseconds; '' for ARGV[5] milliseconds from now
-- ARGV[5]  how long a revocation is kept by default, milliseconds
-- ARGV[6]  the greatest number of revocations
-- returns  'ok', 'expired' (nothing was left to revoke) or 'full'
--
-- The list is one sorted set, so that it fits one slot and ends as a whole:
--   t:<jti>    scored with its expiry, milliseconds
--   u:<user>   scored with its expiry, milliseconds
--   b:<user>   scored with -ARGV[3]: values are negative, so that they are no expiry
--   v          scored with -(the list's version): the time of the last change, microseconds, and growing
--
-- Only the server's clock counts. Everything is checked before anything is written, but for what has
-- expired, which goes first. The version is formatted, since Lua would write it with an exponent.
local key = KEYS[1]
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local kind, name = ARGV[1], ARGV[2]
local member = kind .. ':' .. name
local expires = tonumber(ARGV[4]) or (now + ARGV[5])
local before = tonumber(ARGV[3]) or now_us

for _, m in ipairs(redis.call('ZRANGE', key, 1, now, 'BYSCORE', 'LIMIT', 0, 1000)) do
  redis.call('ZREM', key, m)
  if string.sub(m, 1, 2) == 'u:' then
    redis.call('ZREM', key, 'b:' .. string.sub(m, 3))
  end
end

if expires <= now then
  return 'expired'
end
local known = tonumber(redis.call('ZSCORE', key, member) or 0)
if known == 0 and redis.call('ZCOUNT', key, 1, '+inf') >= tonumber(ARGV[6]) then
  return 'full'
end

redis.call('ZADD', key, math.max(known, expires), member)
if kind == 'u' then
  local known_before = 0 - tonumber(redis.call('ZSCORE', key, 'b:' .. name) or 0)
  redis.call('ZADD', key, -math.max(known_before, before), 'b:' .. name)
end
local version = 0 - tonumber(redis.call('ZSCORE', key, 'v') or 0)
version = string.format('%.0f', math.max(version + 1, now_us))
redis.call('ZADD', key, '-' .. version, 'v')
local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', key, last[2])
redis.call('PUBLISH', key, version)
return 'ok'
