"""How a consumer group reads: over a raw connection of its own, on which a read may wait. Used by `GroupReader`.

redis-py takes five times the processor time for the same answer, and an intent waits for it on its way to the venue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import hiredis
from redis.exceptions import ResponseError

from omega.bus.endpoint import Endpoint, Patience
from omega.bus.wire import Wire, WireLost, dial, pack
from omega.errors import EnvironmentFault

_MOVED: Final = ("READONLY", "MASTERDOWN", "LOADING", "UNBLOCKED")
"""Answers after which the next read dials anew: another server may be the primary by now."""

Entry = tuple[bytes, dict[bytes, bytes]]


class GroupWire:
    """One reader's connection; it is dialled when it is needed, and again after it broke."""

    def __init__(self, endpoint: Endpoint, patience: Patience, *, name: str) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._name = name
        self._wire: Wire | None = None

    async def xreadgroup(
        self, group: str, consumer: str, where: Mapping[str, str], *, count: int, block: int | None = None
    ) -> list[tuple[bytes, list[Entry]]]:
        """Read what a group has not read of some streams, as redis-py's method of this name does.

        Args:
            group: of the readers.
            consumer: who reads.
            where: by stream the id behind which to read, `>` for news.
            count: entries of each stream at most.
            block: how long to wait for news, in ms; None does not wait.

        Raises:
            ResponseError: the server refuses.
            WireLost: it is not reached, or says nothing.
        """
        waiting = ("BLOCK", block) if block is not None else ()
        packed = pack(
            "XREADGROUP", "GROUP", group, consumer, "COUNT", count, *waiting, "STREAMS", *where, *where.values()
        )
        try:
            async with asyncio.timeout(self._patience.socket_s):
                reply = await (await self._open()).send(packed)
        except TimeoutError:
            self.close()
            raise WireLost(f"{self._endpoint.shown} said nothing for {self._patience.socket_s:g} s") from None
        except BaseException:  # above all a cancellation: the server must not answer a read that nobody awaits
            self.close()
            raise
        if isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith(_MOVED):
                self.close()
            raise ResponseError(str(reply))
        return [(stream, [_entry(row) for row in rows]) for stream, rows in reply or ()]

    def close(self) -> None:
        """Cut the connection."""
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    async def _open(self) -> Wire:
        if self._wire is None or not self._wire.open:
            try:
                self._wire = await dial(self._endpoint, name=self._name, within_s=self._patience.connect_s)
            except EnvironmentFault as error:  # it let us in before: somebody is at work there
                raise WireLost(str(error)) from error
        return self._wire


def _entry(row: list[Any]) -> Entry:
    """Return id and fields; none are left of an entry that was trimmed away while it was pending."""
    fields = row[1] or ()
    return row[0], dict(zip(fields[::2], fields[1::2], strict=True))
