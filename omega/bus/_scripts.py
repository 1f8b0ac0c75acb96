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


SEND = Script(
    "send",
    """
-- KEYS: dedup mark, topic..., [epoch key]   ARGV: bytes, dedup ms, length, epoch ('' = no fence)
local topics = #KEYS
if ARGV[4] ~= '' then
  topics = topics - 1
  if tonumber(ARGV[4]) < tonumber(redis.call('GET', KEYS[#KEYS]) or '0') then return 'FENCED' end
end
if redis.call('EXISTS', KEYS[1]) == 1 then return 'DUPLICATE' end
for i = 2, topics do
  local kind = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= 'stream' and kind ~= 'none' then return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. kind) end
  if redis.acl_check_cmd and not (redis.acl_check_cmd('XADD', KEYS[i], '*', 'm', '')
      and redis.acl_check_cmd('PUBLISH', KEYS[i], '')) then
    return redis.error_reply('NOPERM no right to write or publish ' .. KEYS[i])
  end
end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
local first = false
for i = 2, topics do
  local id = redis.call('XADD', KEYS[i], 'MAXLEN', '~', ARGV[3], '*', 'm', ARGV[1])
  redis.call('PUBLISH', KEYS[i], id .. ' ' .. ARGV[1])
  first = first or id
end
return first
""",
)
"""Fence, deduplicate, append and publish one record. Published are the entry id, a space and the bytes of the entry."""

TAKE_LEASE = Script(
    "take_lease",
    """
-- KEYS: lease, epoch   ARGV: owner, ttl ms
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('SET', KEYS[2], redis.call('TIME')[1]) end
return redis.call('INCR', KEYS[2])
""",
)
"""Take a free lease and raise its epoch.

An epoch that the server has lost restarts from its clock, so it never falls below one that was given before.
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
    """
-- KEYS: dead letters, stream   ARGV: dead entry id, bytes, length
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return false end
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'm', ARGV[2])
redis.call('PUBLISH', KEYS[2], id .. ' ' .. ARGV[2])
return id
""",
)
"""Send a dead letter to its stream again, once."""

ALL = (SEND, TAKE_LEASE, RENEW_LEASE, RELEASE_LEASE, BURY, REVIVE)
