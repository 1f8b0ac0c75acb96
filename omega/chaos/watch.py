"""Watches the venue from outside while faults run: how long any position is without its whole stop. Run by the lab."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

from omega.cli.farm.admin import AdminClient
from omega.errors import TransientError

_EVERY_S = 0.1
_CALL_S = 2.0


class NakedWatch:
    """Looks at the venue ten times a second.

    While the venue itself does not answer nobody could place a stop: that time does not count.

    Attributes:
        longest_s: the longest time that a position was not covered. Units: s.
        spells: (symbol, bar time at the venue, seconds) of every one that was seen, the longest first.
    """

    def __init__(self, venue: AdminClient) -> None:
        self._venue = venue
        self._since: dict[str, tuple[float, int]] = {}
        self.spells: list[tuple[str, int, float]] = []

    @property
    def longest_s(self) -> float:
        """The longest spell that has ended or still lasts."""
        now = time.monotonic()
        return max(
            [spell[2] for spell in self.spells] + [now - since for since, _ in self._since.values()], default=0.0
        )

    @property
    def covered(self) -> bool:
        """Tell whether every position is covered at the moment."""
        return not self._since

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_CALL_S):
                    seen = await self._venue.call("GET", "/exposed")
            except (TransientError, TimeoutError):
                await self._venue.close()
                self._since.clear()
            else:
                self._take(seen)
            await asyncio.sleep(_EVERY_S)

    def _take(self, seen: dict[str, Any]) -> None:
        now = time.monotonic()
        naked = {row["symbol"] for row in seen["positions"] if cover(row) < abs(Decimal(row["size"]))}
        for symbol in set(self._since) - naked:
            since, at = self._since.pop(symbol)
            self.spells.append((symbol, at, now - since))
        for symbol in naked - set(self._since):
            self._since[symbol] = (now, int(seen["ts"]))


def cover(row: dict[str, Any]) -> Decimal:
    """Return how much of a position its stops cover. Units: base units."""
    return sum((Decimal(size) for _, _, size in row["stops"]), Decimal(0))
