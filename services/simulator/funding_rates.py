"""Funding rates by instant: recorded ones from CSV, a configured one elsewhere. Asked by settlement and market data."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from omega.errors import CorruptData

INTERVAL_MS: Final = 8 * 3_600_000
_PLAUSIBLE: Final = 0.05
"""No venue charges more than five per cent in eight hours."""


class FundingRates:
    """The rates of every symbol at 00, 08 and 16 UTC."""

    def __init__(self, recorded: Mapping[str, Mapping[int, float]], default: float) -> None:
        self._recorded = recorded
        self._instants = {symbol: sorted(rates) for symbol, rates in recorded.items()}
        self._default = default

    def at(self, symbol: str, instant_ms: int) -> float:
        """Return the rate that is settled at an instant."""
        return self._recorded.get(symbol, {}).get(instant_ms, self._default)

    def known(self, symbol: str, now_ms: int) -> float:
        """Return the rate last settled, the best that is known of the next one."""
        instants = self._instants.get(symbol, [])
        found = bisect_right(instants, now_ms)
        return self._recorded[symbol][instants[found - 1]] if found else self._default


def next_instant(now_ms: int) -> int:
    """Return the next funding instant after now."""
    return (now_ms // INTERVAL_MS + 1) * INTERVAL_MS


def load_rates(folder: Path, symbols: Iterable[str], default: float) -> FundingRates:
    """Read `SYMBOL-8h.csv` (ts in ms, funding_rate as a fraction) where it exists.

    Raises:
        CorruptData: a row is no funding rate; names file, row and column.
    """
    recorded = {}
    for symbol in symbols:
        path = folder / f"{symbol}-8h.csv"
        if path.is_file():
            recorded[symbol] = _read(path)
    return FundingRates(recorded, default)


def _read(path: Path) -> dict[int, float]:
    rates: dict[int, float] = {}
    with path.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                instant, rate = int(row["ts"]), float(row["funding_rate"])
            except (KeyError, TypeError, ValueError) as error:
                raise CorruptData(
                    f"{path}, line {number}: expected the columns ts and funding_rate with numbers, got {row}"
                ) from error
            if not abs(rate) <= _PLAUSIBLE:
                raise CorruptData(f"{path}, line {number}, column funding_rate: {rate} is no rate per eight hours")
            rates[instant - instant % INTERVAL_MS] = rate
    return rates
