"""A closed candle. Made by the gateway, read by the runners and the ledger."""

from __future__ import annotations

import math
from dataclasses import dataclass

from omega.errors import CorruptData


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar.

    Units: ts_ns is the open time, ns UTC; prices in quote currency; volume in base units.
    """

    ts_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    def checked(self, what: str = "bar") -> Bar:
        """Return the bar itself when it is sound.

        Raises:
            CorruptData: a price is not finite and positive, the volume is negative, or low <= open, close <= high
                fails.
        """
        prices = (self.open, self.high, self.low, self.close)
        sound = all(math.isfinite(p) and p > 0 for p in prices) and math.isfinite(self.volume) and self.volume >= 0
        if not sound or self.low > min(prices) or self.high < max(prices):
            raise CorruptData(f"{what} at {self.ts_ns} is unsound: {prices} volume {self.volume}; it is not used")
        return self
