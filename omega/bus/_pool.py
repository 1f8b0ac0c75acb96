"""The pool of the client's connections, with its use to be read. Built by `omega.bus.endpoint.client`."""

from __future__ import annotations

from typing import Any, NamedTuple

from redis.asyncio import BlockingConnectionPool


class PoolUse(NamedTuple):
    """How a pool is used: connections busy, idle and allowed, and how many calls had to wait for one."""

    used: int
    idle: int
    allowed: int
    waits: int


class CountedPool(BlockingConnectionPool):
    """Counts the calls that found every connection busy."""

    waits = 0

    async def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Return a connection; waits for one as the plain pool does."""
        if not self.can_get_connection():
            self.waits += 1
        return await super().get_connection(*args, **kwargs)  # type: ignore[no-untyped-call]

    def use(self) -> PoolUse:
        """Return how the pool is used now."""
        used, idle = len(self._in_use_connections), len(self._available_connections)
        return PoolUse(used, idle, self.max_connections, self.waits)
