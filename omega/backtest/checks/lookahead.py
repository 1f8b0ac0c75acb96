"""Look-ahead: what a strategy says of a row must not change when later bars arrive, nor may a trade.

Called by `omega check lookahead` and by the tests, for every registered strategy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from omega.backtest.checks.columns import Column, Finding, critical_rows, first_difference, run, unequal
from omega.engine import I64, Bars
from omega.errors import CorruptData
from omega.plugins import StrategyEntry

if TYPE_CHECKING:
    from omega.backtest.types import Market, Result, Trades

_FARTHEST: Final = 256
"""How far ahead the check looks for the bar that changed a row."""

_FIRST: Final = (1, 2, 3, 15)
_NOT_COMPARED: Final = frozenset({"position"})
"""A column of numbers that a truncated run may give out anew."""


@dataclass(frozen=True, slots=True)
class LookAhead:
    """The outcome of a look-ahead check.

    Attributes:
        cuts: how many prefixes of the history were computed again.
        truncated: how many back-tests were cut short and compared, 0 when there was no market.
        finding: the first row that a later bar has changed, None when there is none.
        reach: how many bars ahead that row reads, 0 when it is not known.
    """

    strategy: str
    bars: int
    cuts: int
    truncated: int
    finding: Finding | None
    reach: int

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return self.finding is None

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return {
            "check": "lookahead",
            "strategy": self.strategy,
            "bars": self.bars,
            "cuts": self.cuts,
            "truncated_backtests": self.truncated,
            "ok": self.sound,
            "finding": self.finding.as_json() if self.finding else None,
            "reads_ahead_bars": self.reach,
        }


def check_lookahead(
    entry: StrategyEntry,
    params: object,
    bars: Bars,
    *,
    market: Market | None = None,
    random_cuts: int = 40,
    critical_cuts: int = 40,
    seed: int = 7,
) -> LookAhead:
    """Compare the signals on prefixes with the prefix of the signals, and the trades of truncated back-tests.

    Args:
        entry: the strategy.
        params: its parameters.
        bars: the history.
        market: the same history with its trading rules; None leaves the back-tests out.
        random_cuts: prefixes that end anywhere.
        critical_cuts: prefixes that end right behind an entry or an exit, where a peek pays.
        seed: of the random cuts.

    Raises:
        CorruptData: there are fewer than two bars.
    """
    if bars.n < 2:  # noqa: PLR2004 - one bar has nothing ahead
        raise CorruptData(f"{entry.name}: a look-ahead check needs two bars or more, {bars.n} were given")
    whole = run(entry, params, bars)
    cuts = _cuts(whole, bars.n, entry.warmup(params), random_cuts, critical_cuts, seed)
    finding = _signals(entry, params, bars, whole, cuts)
    if finding is not None:
        return LookAhead(entry.name, bars.n, len(cuts), 0, finding, _reach(entry, params, bars, whole, finding))
    tried, traded = (0, None) if market is None or entry.read_only else _trades(entry, params, market, cuts)
    return LookAhead(entry.name, bars.n, len(cuts), tried, traded, 0)


def _cuts(whole: dict[str, Column], n: int, warmup: int, anywhere: int, critical: int, seed: int) -> I64:
    """Return the lengths of the prefixes to compute again, the shortest first."""
    random = np.random.default_rng(seed).integers(1, n, size=anywhere, endpoint=False)
    edges = [length for length in (*_FIRST, warmup, warmup + 1, warmup + 2, n - 1) if 0 < length < n]
    lengths = np.concatenate([random, critical_rows(whole, critical) + 1, np.asarray(edges, dtype=np.int64)])
    return np.unique(lengths[lengths < n]).astype(np.int64)


def _signals(
    entry: StrategyEntry, params: object, bars: Bars, whole: dict[str, Column], cuts: Iterable[int]
) -> Finding | None:
    best: Finding | None = None
    for length in cuts:
        part = run(entry, params, bars.prefix(int(length)))
        expected = {name: column[:length] for name, column in whole.items()}
        why = f"the row is another one when only the first {length} bars are there"
        found = first_difference(part, expected, bars.ts, why)
        if found is not None and (best is None or found.row < best.row):
            best = found
    return best


def _reach(entry: StrategyEntry, params: object, bars: Bars, whole: dict[str, Column], finding: Finding) -> int:
    """Return after how many further bars the row has its last value; 0 when that lies farther than is looked."""
    right = whole[finding.column][finding.row : finding.row + 1]
    for ahead in range(1, min(_FARTHEST, bars.n - finding.row - 1) + 1):
        part = run(entry, params, bars.prefix(finding.row + 1 + ahead))[finding.column]
        if not unequal(part[finding.row : finding.row + 1], right).any():
            return ahead
    return 0


def _trades(
    entry: StrategyEntry, params: object, market: Market, cuts: I64, most: int = 6
) -> tuple[int, Finding | None]:
    """Back-test truncated histories: what was over by then must be what the whole run says of it."""
    from dataclasses import replace

    from omega.backtest.run import backtest

    whole = backtest(entry, params, market)
    lengths = [int(length) for length in cuts if length > entry.warmup(params) + 1]
    chosen = lengths[:: max(1, len(lengths) // most)][:most]
    for length in chosen:
        part = backtest(entry, params, replace(market, bars=market.bars.prefix(length)))
        found = _other_trades(whole, part, length)
        if found is not None:
            return len(chosen), found
    return len(chosen), None


def _other_trades(whole: Result, part: Result, length: int) -> Finding | None:
    from omega.backtest.types import ExitKind

    early = np.flatnonzero((whole.trades.exit_row < length) & (whole.trades.exit_kind != ExitKind.END))
    closed = np.flatnonzero(part.trades.exit_kind != ExitKind.END)
    why = f"a back-test of the first {length} bars has another trade"
    shared = min(len(early), len(closed))
    expected, found = _columns(part.trades, closed[:shared]), _columns(whole.trades, early[:shared])
    rows = whole.trades.entry_row[early[:shared]]
    first = first_difference(expected, found, whole.trades.entry_ts[early[:shared]], why)
    if first is not None:
        row = int(rows[first.row])
        return Finding(row, first.ts_ns, f"trades.{first.column}", first.expected, first.found, why)
    if len(early) != len(closed):
        extra, trades = (early, whole.trades) if len(early) > len(closed) else (closed, part.trades)
        row = int(trades.entry_row[extra[shared]])
        ts = int(trades.entry_ts[extra[shared]])
        return Finding(row, ts, "trades", float(len(closed)), float(len(early)), why)
    before = slice(0, length - 1)
    return first_difference({"equity": part.equity[before]}, {"equity": whole.equity[before]}, whole.ts, why)


def _columns(trades: Trades, rows: I64) -> dict[str, Column]:
    return {name: getattr(trades, name)[rows] for name in trades.__slots__ if name not in _NOT_COMPARED}
