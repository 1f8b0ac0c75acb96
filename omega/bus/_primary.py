"""redis-py connections that ask the Sentinels where the primary is, at every connect. Built by `omega.bus.endpoint`."""

from __future__ import annotations

from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.exceptions import ConnectionError as ServerGone
from redis.exceptions import ReadOnlyError

from omega.bus.endpoint import Endpoint
from omega.bus.wire import WireLost, locate


class _Asks(AbstractConnection):
    """Replaces the fixed address by the one that the Sentinels name; a primary that was demoted is left at once."""

    host: str
    port: int

    def __init__(self, *, endpoint: Endpoint, **options: Any) -> None:
        self._endpoint = endpoint
        super().__init__(**options)

    async def _connect(self) -> None:
        try:
            self.host, self.port = await locate(self._endpoint)
        except WireLost as error:
            raise ServerGone(str(error)) from error
        await super()._connect()  # type: ignore[no-untyped-call,safe-super]  # the class beside this one connects

    async def read_response(self, *words: Any, **options: Any) -> Any:
        """Read an answer; `READONLY` means that this server is a replica by now."""
        try:
            return await super().read_response(*words, **options)
        except ReadOnlyError as error:
            await self.disconnect(nowait=True)
            raise ServerGone(f"{self.host}:{self.port} is a replica by now; the Sentinels are asked again") from error


class PrimaryConnection(_Asks, Connection):
    """The way to a primary in the clear."""


class SecurePrimaryConnection(_Asks, SSLConnection):
    """The way to a primary over TLS."""
