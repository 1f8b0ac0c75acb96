"""One writer for a name: a renewed lease with an epoch that grows with every owner. For gateways and runners."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from redis.exceptions import RedisError

from omega._structlog import structlog
from omega.bus import _scripts
from omega.bus.topics import Topics
from omega.bus.ulid import UlidMaker
from omega.tasks import ended

_RENEW_SHARE = 1 / 3
_TRUST_SHARE = 2 / 3
_TRY_SHARE = 1 / 30
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

logger = structlog.get_logger(__name__)
_new_owner = UlidMaker()


def _now() -> float:
    """Return seconds of a clock that never goes back and goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(_CLOCK)


def lease_key(topics: Topics, name: str) -> str:
    """Return the key that holds a lease's owner."""
    return topics.state("lease", name)


def epoch_key(topics: Topics, name: str) -> str:
    """Return the key that holds the epoch of a lease's last owner."""
    return topics.state("epoch", name)


class RedisLease:
    """A lease on the server.

    It is renewed after a third of its time and not trusted after two thirds without renewal: a process that cannot
    reach the server stops before anybody else may own the name.
    """

    def __init__(self, redis: Any, topics: Topics, name: str, *, ttl_s: float, source: str) -> None:
        self.name = name
        self.epoch = 0
        self._redis = redis
        self._keys = (lease_key(topics, name), epoch_key(topics, name))
        self._ttl_s = ttl_s
        self._owner = f"{source}/{_new_owner()}"
        self._renewed = 0.0
        self._lost = True
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Tell whether this process may still act."""
        return not self._lost and _now() - self._renewed < self._ttl_s * _TRUST_SHARE

    @property
    def lost(self) -> bool:
        """Tell whether it is gone for good: somebody else may own the name, or the server has let it expire."""
        return self._lost

    async def take(self) -> None:
        """Wait until the lease is free, take it and begin to renew it."""
        while True:
            asked = _now()
            try:
                self.epoch = await self._run(_scripts.TAKE_LEASE, 2, *self._keys, self._owner, self._ttl_ms)
            except (RedisError, OSError) as error:
                logger.debug("lease.take_retried", name=self.name, error=str(error))
            if self.epoch:
                break
            await asyncio.sleep(max(0.05, self._ttl_s * _TRY_SHARE))
        self._renewed, self._lost = asked, False
        logger.info("lease.taken", name=self.name, epoch=self.epoch)
        self._task = asyncio.create_task(self._renew(), name=f"bus-lease:{self.name}")

    async def release(self) -> None:
        """Give the lease back so that a successor need not wait."""
        self._lost = True
        if self._task is None:
            return
        await ended([self._task])
        self._task = None
        try:
            await self._run(_scripts.RELEASE_LEASE, 1, self._keys[0], self._owner)
        except (RedisError, OSError) as error:
            logger.warning("lease.left_to_expire", name=self.name, ttl_s=self._ttl_s, error=str(error))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._ttl_s * _RENEW_SHARE / (1 if self.held else 4))
            asked = _now()
            try:
                async with asyncio.timeout(self._ttl_s * _RENEW_SHARE):
                    renewed = await self._run(
                        _scripts.RENEW_LEASE, 2, *self._keys, self._owner, self._ttl_ms, self.epoch
                    )
            except (RedisError, OSError, TimeoutError) as error:
                logger.debug("lease.renewal_retried", name=self.name, error=str(error))
                continue
            if not renewed:
                self._lost = True
                logger.error("lease.lost", name=self.name, epoch=self.epoch)
                return
            self._renewed = asked

    @property
    def _ttl_ms(self) -> int:
        return int(self._ttl_s * 1_000)

    async def _run(self, script: _scripts.Script, keys: int, *words: str | int) -> int:
        return int(await self._redis.eval(script.text, keys, *words))
