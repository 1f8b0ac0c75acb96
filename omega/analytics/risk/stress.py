"""Recorded crashes and surges as scenarios: how a book would have come through them.

The scenarios lie in `data/stress.csv`, found in recorded candles by `scripts/find_crashes.py`. Called by
the assessment of a book.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from omega.engine.account import AccountBook
from omega.engine.bars import F64, Bars
from omega.errors import ConfigError, CorruptData

FILE: Final = Path(__file__).parents[1] / "data" / "stress.csv"
COLUMNS: Final = ("name", "from", "hours", "coin", "move")
_HOUR_NS: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Crash:
    """The worst stretch of a market. Units: rows of its bars, from close to close; move a fraction."""

    first: int
    last: int
    move: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One recorded stretch and what each coin did in it.

    Attributes:
        name: of the scenario.
        begun: ISO time of its first close.
        hours: how long it took.
        moves: (coin, move) as fractions from close to close.
    """

    name: str
    begun: str
    hours: float
    moves: tuple[tuple[str, float], ...]

    def move_of(self, coin: str) -> float:
        """Return what a coin did, as a fraction; the mean move of the recorded coins stands in for an unknown one."""
        known = dict(self.moves)
        return known.get(coin, sum(known.values()) / len(known))


@dataclass(frozen=True, slots=True)
class Stressed:
    """A book under one scenario.

    Attributes:
        scenario: its name.
        pnl: what all positions would make or lose together, in quote currency.
        equity_after: equity after it, in quote currency.
        loss: -pnl over equity, a fraction; None when equity is not above zero.
        liquidated: names of positions whose liquidation price the move reaches.
        assumed: coins that were not recorded then and take the mean move.
    """

    scenario: str
    pnl: float
    equity_after: float
    loss: float | None
    liquidated: tuple[str, ...]
    assumed: tuple[str, ...]


def find_crashes(bars: Bars, timeframe_ns: int, *, hours: float, count: int, up: bool = False) -> tuple[Crash, ...]:
    """Find the worst moves over at most `hours`, the worst first, no two of which share a bar.

    Args:
        bars: closed bars; a stretch over a gap in the record counts by its time, not by its rows.
        timeframe_ns: their length.
        hours: longest time from the first close to the last.
        count: how many.
        up: surges instead of crashes.
    """
    reach = int(hours * _HOUR_NS // timeframe_ns)
    if reach < 1 or bars.n < 2:  # noqa: PLR2004 - a move needs two closes
        raise ConfigError(f"{hours} hours hold no move of these bars; give a longer time or shorter bars")
    sign = -1.0 if up else 1.0
    log_close = sign * np.log(bars.close)
    last, moves = _worst_after(bars, log_close, reach * timeframe_ns)
    made: list[Crash] = []
    for first in np.argsort(moves, kind="stable"):
        if len(made) == count or not moves[first] < 0.0:
            break
        end = int(last[first])
        if all(end < c.first or first > c.last for c in made):
            made.append(Crash(int(first), end, float(bars.close[end] / bars.close[first] - 1.0)))
    return tuple(made)


@cache
def scenarios() -> tuple[Scenario, ...]:
    """Return the scenarios that the project carries.

    Raises:
        CorruptData: the file is not what it should be.
    """
    with FILE.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != COLUMNS:
            raise CorruptData(f"{FILE} has other columns than {', '.join(COLUMNS)}; find the crashes anew")
        made: dict[tuple[str, str, float], list[tuple[str, float]]] = {}
        for name, begun, hours, coin, move in rows:
            made.setdefault((name, begun, float(hours)), []).append((coin, float(move)))
    return tuple(Scenario(*key, tuple(moves)) for key, moves in made.items())


def stress(book: AccountBook, under: Iterable[Scenario] | None = None) -> tuple[Stressed, ...]:
    """Put a book through scenarios, the worst for it first.

    Positions keep their size; a move is applied to the mark price, and a loss is not capped by a liquidation: the fees
    and slippage of one are worse than the cap.
    """
    made = [_stressed(book, scenario) for scenario in (scenarios() if under is None else under)]
    return tuple(sorted(made, key=lambda s: s.pnl))


def coin_of(symbol: str) -> str:
    """Return the coin of a symbol: BTC of BTC-USDT.P, BTC/USDT:USDT and BTCUSDT."""
    head = symbol.replace("/", "-").replace("_", "-").partition("-")[0].upper()
    for quote in ("USDT", "USDC", "USD"):
        if head.endswith(quote) and len(head) > len(quote):
            return head.removesuffix(quote)
    return head


def _stressed(book: AccountBook, scenario: Scenario) -> Stressed:
    pnl, hit, assumed = 0.0, [], []
    known = dict(scenario.moves)
    for p in book.positions:
        coin = coin_of(p.symbol)
        if coin not in known:
            assumed.append(coin)
        price = p.mark * (1.0 + scenario.move_of(coin))
        pnl += p.side * p.size * (price - p.mark)
        if p.liquidation > 0.0 and p.side * (price - p.liquidation) <= 0.0:
            hit.append(f"{p.symbol} {'long' if p.side > 0 else 'short'}")
    equity = book.equity
    loss = -pnl / equity if equity > 0.0 else None
    return Stressed(scenario.name, pnl, equity + pnl, loss, tuple(hit), tuple(dict.fromkeys(assumed)))


def _worst_after(bars: Bars, log_close: F64, reach_ns: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], F64]:
    """Return for every bar the row of the lowest close within reach, and the log move to it."""
    ends = np.searchsorted(bars.ts, bars.ts + reach_ns, side="right")
    last, moves = np.arange(bars.n), np.zeros(bars.n)
    for step in range(1, int((ends - np.arange(bars.n)).max())):
        rows = np.flatnonzero(np.arange(bars.n) + step < ends)
        moved = log_close[rows + step] - log_close[rows]
        lower = moved < moves[rows]
        moves[rows[lower]], last[rows[lower]] = moved[lower], rows[lower] + step
    return last, moves
