"""The Lua scripts of the bus: each does in one step what must not be interrupted.

A script is not rolled back, so every check (fence, types, rights) comes before its first write.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

RELOAD = "NOSCRIPT"


@dataclass(frozen=True, slots=True)
class Script:
    """One script and its digest."""

    name: str
    text: str

    @property
    def sha(self) -> bytes:
        """The name under which the server keeps it."""
        return hashlib.sha1(self.text.encode()).hexdigest().encode()  # noqa: S324 - the server's own naming, no secret


_APPEND = """
-- Trim by whole nodes what is beyond the length wanted, yet nothing that a group has not read and acknowledged.
local function trim(key, length)
  local entries = redis.call('XLEN', key)
  local surplus = entries - length
  if surplus < 100 or surplus % 100 ~= 0 then return entries end
  local groups, floor = redis.call('XINFO', 'GROUPS', key), false
  local function before(a, b)
    local am, an = a:match('(%d+)-(%d+)')
    local bm, bn = b:match('(%d+)-(%d+)')
    am, an, bm, bn = tonumber(am), tonumber(an), tonumber(bm), tonumber(bn)
    return am < bm or (am == bm and an < bn)
  end
  for _, row in ipairs(groups) do
    local name, last
    for i = 1, #row, 2 do
      if row[i] == 'name' then name = row[i + 1] elseif row[i] == 'last-delivered-id' then last = row[i + 1] end
    end
    local oldest = redis.call('XPENDING', key, name)[2] or last
    if not floor or before(oldest, floor) then floor = oldest end
  end
  if floor then redis.call('XTRIM', key, 'MINID', '~', floor, 'LIMIT', surplus)
  else redis.call('XTRIM', key, 'MAXLEN', '~', length) end
  return entries
end
-- Return the entry's id and the length of the stream, or the server's refusal.
local function append(key, length, bytes)
  local id = redis.pcall('XADD', key, '*', 'm', bytes)
  if type(id) == 'table' then return id, 0 end
  redis.call('PUBLISH', key, id .. ' ' .. bytes)
  return id, trim(key, tonumber(length))
end
"""

SEND = Script(
    "send",
    _APPEND
    + """
-- KEYS: dedup mark, topic..., [epoch key]   ARGV: bytes, dedup ms, length, epoch ('' = no fence)
local topics = #KEYS
if ARGV[4] ~= '' then
  topics = topics - 1
  if tonumber(ARGV[4]) < tonumber(redis.call('GET', KEYS[#KEYS]) or '0') then return 'FENCED' end
end
-- Of one topic the append itself tells a wrong type or a missing right; of several none may fail behind another.
for i = 2, topics do
  if topics > 2 then
    local is = redis.call('TYPE', KEYS[i])['ok']
    if is ~= 'stream' and is ~= 'none' then return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. is) end
  end
  if redis.acl_check_cmd and not (redis.acl_check_cmd('PUBLISH', KEYS[i], '')
      and (topics == 2 or redis.acl_check_cmd('XADD', KEYS[i], '*', 'm', ''))) then
    return redis.error_reply('NOPERM no right to write or publish ' .. KEYS[i])
  end
end
if not redis.call('SET', KEYS[1], '1', 'PX', ARGV[2], 'NX') then return 'DUPLICATE' end
local first = false
for i = 2, topics do
  local id, entries = append(KEYS[i], ARGV[3], ARGV[1])
  if type(id) == 'table' then
    redis.call('DEL', KEYS[1])
    return id
  end
  if entries % 50 == 1 then
    local index = KEYS[2]:match('^[^:]+') .. ':st:streams'
    if redis.call('SADD', index, KEYS[i]) == 1 then redis.call('PUBLISH', index, KEYS[i]) end
  end
  first = first or id
end
return first
""",
)
"""Fence, deduplicate, append and publish one record. Published are the entry id, a space and the bytes of the entry.

A stream that is new enters the index of all streams, and readers of patterns are told; so does, sooner or later, one
that the index has lost.
"""

TAKE_LEASE = Script(
    "take_lease",
    """
-- KEYS: lease, epoch   ARGV: owner, ttl ms
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local epoch = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, tonumber(redis.call('TIME')[1]))
redis.call('SET', KEYS[2], string.format('%.0f', epoch))
return epoch
""",
)
"""Take a free lease and raise its epoch.

It is at least the clock's second: one that was lost with the server, or with a primary whose last writes no replica
had, is never given a second time.
"""

RENEW_LEASE = Script(
    "renew_lease",
    """
-- KEYS: lease, epoch   ARGV: owner, ttl ms, epoch
local owner = redis.call('GET', KEYS[1])
local epoch = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then return 0 end
if epoch and epoch ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
return 1
""",
)
"""Renew a lease that is still ours, or that nobody has taken since the server forgot it."""

RELEASE_LEASE = Script(
    "release_lease",
    """
-- KEYS: lease   ARGV: owner
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""",
)
"""Give a lease back, unless it is somebody else's by now."""

BURY = Script(
    "bury",
    """
-- KEYS: stream, dead letters   ARGV: group, entry id, bytes, reason, attempts, length
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'm', ARGV[3], 'stream', KEYS[1], 'group', ARGV[1],
  'entry', ARGV[2], 'reason', ARGV[4], 'attempts', ARGV[5])
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
""",
)
"""Move a delivery to the dead letters and acknowledge it."""

REVIVE = Script(
    "revive",
    _APPEND
    + """
-- KEYS: dead letters, stream   ARGV: dead entry id, bytes, length
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return false end
return append(KEYS[2], ARGV[3], ARGV[2])
""",
)
"""Send a dead letter to its stream again, once."""

ALL = (SEND, TAKE_LEASE, RENEW_LEASE, RELEASE_LEASE, BURY, REVIVE)
