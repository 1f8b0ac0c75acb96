"""The replay: recorded minutes, the clock, and what of the open minute has been seen. Moved by the exchange alone.

Nothing outside this module reads a candle that the clock has not passed; `path` and `bar` are for the matching alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from omega.errors import ConfigError
from services.simulator.candles import MINUTE_MS, Candles


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of one minute. Units: prices in quote currency, volume and turnover as candles, times in ms."""

    open_: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class Seen:
    """The open minute as far as the clock has shown it."""

    open_: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float

    def grow(self, part: Range) -> None:
        """Add the next stretch."""
        self.high, self.low = max(self.high, part.high), min(self.low, part.low)
        self.close = part.close
        self.volume += part.volume
        self.turnover += part.turnover


PRINT_TIMES_MS = (0, 20_000, 40_000, 59_999)


@dataclass(frozen=True, slots=True)
class Print:
    """One public trade. Units: price in quote currency, size in base units."""

    ts_ms: int
    price: float
    size: float


class Replay:
    """One clock over all symbols, minute by minute or in stretches of a minute."""

    def __init__(self, series: Mapping[str, Candles], *, start_ms: int, seed: int) -> None:
        self.series = dict(series)
        first = max(int(candles.ts[0]) for candles in series.values())
        self.end_ms = min(int(candles.ts[-1]) for candles in series.values()) + MINUTE_MS
        if start_ms % MINUTE_MS or not first < start_ms < self.end_ms:
            raise ConfigError(
                f"the replay cannot start at {start_ms} ms: choose a whole minute between {first} and {self.end_ms}"
            )
        self.start_ms = start_ms
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        """Go back to the start."""
        self.now_ms = self.start_ms
        self.minute_ms = self.start_ms
        self.seen: dict[str, Seen] = {}
        self._closed = {symbol: candles.index(self.minute_ms) for symbol, candles in self.series.items()}

    @property
    def remaining(self) -> int:
        """How many minutes are left to close."""
        return (self.end_ms - self.minute_ms) // MINUTE_MS

    def closed(self, symbol: str) -> int:
        """Return how many rows of a symbol's candles are closed, hence visible."""
        return self._closed[symbol]

    def last(self, symbol: str) -> float:
        """Return the last price that the clock has shown."""
        seen = self.seen.get(symbol)
        return seen.close if seen else float(self.series[symbol].close[self._closed[symbol] - 1])

    def bar(self, symbol: str) -> Range:
        """Return the whole minute that comes next."""
        candles, row = self.series[symbol], self._closed[symbol]
        return Range(
            float(candles.open_[row]),
            float(candles.high[row]),
            float(candles.low[row]),
            float(candles.close[row]),
            float(candles.volume[row]),
            float(candles.turnover[row]),
            self.minute_ms,
            self.minute_ms + MINUTE_MS,
        )

    def low_first(self, symbol: str, minute_ms: int) -> bool:
        """Tell whether the path through a minute visits the low before the high; a function of seed and time."""
        return bool(zlib.crc32(f"{self.seed}:{symbol}:{minute_ms}".encode()) & 1)

    def path(self, symbol: str, parts: int) -> list[Range]:
        """Cut the next minute into stretches of one deterministic path that visits open, both extremes and close."""
        return cut(self.bar(symbol), parts, low_first=self.low_first(symbol, self.minute_ms))

    def prints(self, symbol: str, row: int) -> list[Print]:
        """Return the public trades of a minute that the clock has passed: one at each corner of its path.

        Their sizes are a quarter of the volume each; nothing comes from a minute that was not shown.
        """
        candles = self.series[symbol]
        if row > self._closed[symbol] or (row == self._closed[symbol] and symbol not in self.seen):
            return []
        start = int(candles.ts[row])
        low, high = float(candles.low[row]), float(candles.high[row])
        extremes = (low, high) if self.low_first(symbol, start) else (high, low)
        prices = (float(candles.open_[row]), *extremes, float(candles.close[row]))
        size = float(candles.volume[row]) / len(prices)
        return [
            Print(start + after, price, size)
            for after, price in zip(PRINT_TIMES_MS, prices, strict=True)
            if start + after <= self.now_ms
        ]

    def show(self, symbol: str, part: Range) -> None:
        """Make a stretch visible."""
        seen = self.seen.get(symbol)
        if seen is None:
            self.seen[symbol] = Seen(part.open_, part.high, part.low, part.close, part.volume, part.turnover)
        else:
            seen.grow(part)

    def close_minute(self) -> None:
        """Pass the close of the minute: it is history now."""
        self.seen.clear()
        self.minute_ms += MINUTE_MS
        self.now_ms = self.minute_ms
        for symbol in self._closed:
            self._closed[symbol] += 1


def cut(bar: Range, parts: int, *, low_first: bool) -> list[Range]:
    """Cut a bar into stretches of equal time along open, the two extremes and close; volumes are shared evenly."""
    extremes = (bar.low, bar.high) if low_first else (bar.high, bar.low)
    corners = (bar.open_, *extremes, bar.close)
    stretches, span = [], bar.end_ms - bar.start_ms
    for part in range(parts):
        begin, end = 3.0 * part / parts, 3.0 * (part + 1) / parts
        inside = [corners[i] for i in range(4) if begin < i < end]
        first, last = _along(corners, begin), _along(corners, end)
        whole = (first, *inside, last)
        stretches.append(
            Range(
                first,
                max(whole),
                min(whole),
                last,
                bar.volume / parts,
                bar.turnover / parts,
                bar.start_ms + span * part // parts,
                bar.start_ms + span * (part + 1) // parts,
            )
        )
    return stretches


def _along(corners: tuple[float, ...], at: float) -> float:
    leg = min(int(at), len(corners) - 2)
    share = at - leg
    if share >= 1.0:
        return corners[leg + 1]
    return corners[leg] + (corners[leg + 1] - corners[leg]) * share
