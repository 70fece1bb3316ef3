-- Returns the list of revocations if it is not the one that the caller has.
--
-- KEYS[1]  the list, see revoke.lua
-- ARGV[1]  the version that the caller has, '' for none
-- returns  {version} if it has not changed, else {version, <members and scores, flat>}
local version = string.format('%.0f', 0 - tonumber(redis.call('ZSCORE', KEYS[1], 'v') or 0))
if version == ARGV[1] then
  return {version}
end
return {version, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
