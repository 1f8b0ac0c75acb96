"""Walks a batch of traced combinations through the loop over history. Called by the evaluator.

The loop is `omega.backtest.loop.play` itself, in the same machine code as a back-test's, so money, trades and sums are
those of a single pass to the last bit. What is saved is everything before it: no column is made that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final
from typing import cast as typed

import numpy as np

from omega.backtest import legs
from omega.backtest.compile import compiled
from omega.backtest.loop import play
from omega.backtest.run import _funding, _influence, _law
from omega.backtest.sweep.fast import cross, fits
from omega.backtest.sweep.figures import Sums, figures_of, won_and_lost
from omega.backtest.sweep.job import Job, Outcome, Stretch, Task, cut
from omega.backtest.sweep.lazy import Planes, Rows, Traced, cast
from omega.backtest.types import Market
from omega.engine.bars import F64, I8, I64, Flags
from omega.engine.decision import Settings, Sizing, rules_for, terms_of
from omega.errors import CorruptData

BATCH: Final = 8
"""Combinations traced together: a tile of four by two averages is read from memory once for all of them."""

_SIDE: Final = np.dtype(np.int8)
_FLAG: Final = np.dtype(np.bool_)
_REHEARSED: Final = 64

WIDE: Final = 64
NARROW: Final = 8
"""Rows that the search for entries looks at together."""

_ABOVE_ONE: Final = float(np.nextafter(1.0, 2.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """One stretch of the market as the loop takes it."""

    market: Market
    bars: tuple[F64, F64, F64, F64]
    rates: tuple[I64, F64]
    dues: tuple[I64, I64]
    law: F64
    low: int
    high: int


class Walker:
    """Runs combinations over one market without a curve.

    Attributes:
        batch: how many combinations are worth giving at once.
    """

    batch = BATCH

    def __init__(self, job: Job, market: Market, influences: Any) -> None:
        self._job = job
        self._market = market
        self._influences = influences
        self._planes = Planes()
        self._fields: dict[tuple[int, int], _Field] = {}
        self._rows = np.empty(0, np.int64)
        self._curve = np.empty(market.bars.n)
        self._held = np.empty(0)
        self._out = np.empty((0, legs.TRADE))
        self._pnl = np.empty(0)
        free = influences is None and market.steps is None and market.funding is None
        self._plain = free and job.rules.sizing is Sizing.ALL_IN
        self._play = compiled(play)
        with _alone():
            self._rehearse()

    def run(self, batch: Sequence[tuple[Task, Any, int, Traced]]) -> list[Outcome]:
        """Return the outcomes of some combinations: (task, its parameters, bars that warm it up, its signals)."""
        nodes = [(cast(traced.side, _SIDE), cast(traced.exit, _FLAG)) for *_, traced in batch]
        self._planes.prepare(node for pair in nodes for node in pair)
        outcomes = []
        for (task, params, warm, traced), (side, leave) in zip(batch, nodes, strict=True):
            wants = self._wants(traced, self._planes.of(side), self._planes.of(leave))
            outcomes += [
                self._walk(task, params, warm, stretch, wants, len(traced.targets)) for stretch in task.stretches
            ]
        return outcomes

    def _rehearse(self) -> None:
        """Walk a few bars in which nothing is entered, so that the machine code is there before time is taken."""
        size = min(self._market.bars.n, _REHEARSED)
        side, leave = np.zeros(size, np.int8), np.zeros(size, np.bool_)
        _entry_finder()(side, self._rows if len(self._rows) else np.empty(size + 1, np.int64))
        wants = (side, leave, np.zeros(0, np.int64), np.zeros((0, legs.PLAN)))
        field = self._field(Stretch(0, 0, size))
        if self._plain:
            self._across(field, 0, wants)
        else:
            self._through(field, self._job.rules, 0, wants)

    def _wants(self, traced: Traced, side: Any, leave: Any) -> tuple[I8, Flags, I64, F64]:
        """Return side and exit of every row, and what is said of the rows that enter."""
        side, leave = _own(side), _own(leave)
        rows = self._entries(side)
        if len(rows) and traced.side.dtype != _FLAG and not (np.abs(traced.side.at(rows)) == 1).all():
            raise CorruptData("signals: side must be a row of -1, 0 and 1; check the strategy's np.where")
        plans = np.zeros((len(rows), legs.PLAN))
        plans[:, legs.P_STOP] = _sound("stop_distance", traced.stop_distance.at(rows), np.inf)
        for j, target in enumerate(traced.targets):
            plans[:, legs.P_AIM + j] = _sound(f"targets[{j}]", target.at(rows), np.inf)
        plans[:, legs.P_CONFIDENCE] = _sound("confidence", traced.confidence.at(rows), _ABOVE_ONE)
        return side, leave, rows, plans

    def _entries(self, side: I8) -> Rows:
        if not len(self._rows):
            self._rows = np.empty(len(side) + 1, np.int64)
        count = _entry_finder()(side, self._rows)
        return self._rows[:count]

    def _walk(
        self, task: Task, params: Any, warm: int, stretch: Stretch, wants: tuple[I8, Flags, I64, F64], aims: int
    ) -> Outcome:
        field = self._field(stretch)
        side, leave, rows, plans = wants
        first, last = np.searchsorted(rows, [field.low, field.high])
        self._make_room(int(last - first) * max(aims, 1))
        part = slice(field.low, field.high)
        inside = (side[part], leave[part], rows[first:last] - field.low, plans[first:last])
        rules, warm = rules_for(self._job.rules, params), max(warm - field.low, 0)
        plain = self._plain and fits(terms_of(rules), (rules.time_limit, rules.trail), plans[first:last], side[rows])
        m = self._across(field, warm, inside) if plain else self._through(field, rules, warm, inside)
        return Outcome(task.number, stretch.fold, task.params, self._figures(field, m))

    def _across(self, field: _Field, warm: int, wants: tuple[I8, Flags, I64, F64]) -> F64:
        """Run the plainest kind of combination from event to event and return its money."""
        open_, _, _, close = field.bars
        _, m = self._state(field, warm)
        costs = self._job.costs
        _fast()(warm, open_, close, wants[1], wants[2], costs.taker, costs.slippage, m, self._pnl)
        count = int(m[legs.TRIPS])
        self._out[:count, legs.T_PNL] = self._pnl[:count]
        self._out[:count, legs.T_POSITION] = np.arange(count)
        return m

    def _through(self, field: _Field, rules: Settings, warm: int, wants: tuple[I8, Flags, I64, F64]) -> F64:
        """Run the loop over a stretch and return its money."""
        own = replace(rules, taker=self._job.costs.taker)
        psyche, mind, sky = _influence(self._influences, field.market.timeframe_ns, field.market.bars.ts)
        ts = _own(field.market.bars.ts)
        curve = self._curve[: len(ts)]
        k, m = self._state(field, warm)
        self._play(
            ts, ts, field.bars, wants, field.rates, terms_of(own), (own.time_limit, own.trail, own.flip), (0.0, 0.0),
            psyche, mind, sky, True,
            np.zeros((1, legs.FLOATS)), k, m, field.law, curve, self._held, self._out,
        )  # fmt: skip
        return m

    def _field(self, stretch: Stretch) -> _Field:
        high = self._market.bars.n if stretch.high < 0 else stretch.high
        found = self._fields.get((stretch.low, high))
        if found is None:
            market = cut(self._market, stretch.low, high)
            bars = market.bars
            columns = tuple(_own(column) for column in (bars.open, bars.high, bars.low, bars.close))
            rates, dues = _funding([market], np.zeros(1, np.int64))
            law = np.array([_law(market, self._job.costs, 0)])
            prices = typed("tuple[F64, F64, F64, F64]", columns)
            found = _Field(market, prices, rates, dues, law, stretch.low, high)
            self._fields[stretch.low, high] = found
        return found

    def _state(self, field: _Field, warm: int) -> tuple[I64, F64]:
        k, m = np.zeros((1, legs.INTS), np.int64), np.zeros(legs.MONEY)
        k[0, legs.LAST], k[0, legs.WARM] = field.high - field.low, warm
        k[:, legs.DUE], k[:, legs.LAST_DUE] = field.dues
        m[legs.CASH] = m[legs.EQUITY] = m[legs.PEAK] = self._job.capital
        return k, m

    def _make_room(self, count: int) -> None:
        if len(self._out) < count:
            self._out = np.empty((2 * count, legs.TRADE))
            self._pnl = np.empty(2 * count)

    def _figures(self, field: _Field, m: F64) -> dict[str, float]:
        count = int(m[legs.LEGS])
        won, lost = won_and_lost(self._out[:count, legs.T_PNL], self._out[:count, legs.T_POSITION].astype(np.int64))
        bars = field.market.bars
        sums = Sums(
            final_equity=float(m[legs.CASH]),
            trades=int(m[legs.TRIPS]),
            wins=int(m[legs.WINS]),
            max_drawdown=float(m[legs.DEEPEST]),
            total=float(m[legs.SUM]),
            squares=float(m[legs.SQUARES]),
            downside_squares=float(m[legs.DOWNSIDE]),
            won=won,
            lost=lost,
            fees=float(m[legs.FEES]),
            funding=float(m[legs.FUNDING]),
            turnover=float(m[legs.TURNOVER]),
            legs=count,
        )
        span = int(bars.ts[-1] - bars.ts[0]) + field.market.timeframe_ns
        return figures_of(
            sums, bars=bars.n, timeframe_ns=field.market.timeframe_ns, span_ns=span, capital=self._job.capital
        )


def _sound(name: str, found: F64, below: float) -> F64:
    """Return what is said of the rows that enter.

    Raises:
        CorruptData: some of it is no number, negative or too large.
    """
    if not ((found >= 0.0) & (found < below)).all():
        raise CorruptData(f"signals: a row enters with an unsound {name}; enter only where the indicators are ready")
    return found


def find_entries(side: I8, rows: I64) -> int:
    """Write the rows that enter into `rows` and return how many they are; look at many rows first, then at few."""
    total = side.shape[0]
    row, count = 0, 0
    while row < total:
        end = min(row + WIDE, total)
        some = 0
        for want in side[row:end]:
            some |= want
        while some != 0 and row < end:
            near = min(row + NARROW, end)
            few = 0
            for want in side[row:near]:
                few |= want
            if few != 0:
                for i in range(row, near):
                    # Written always, counted where it holds: a branch would be guessed wrong.
                    rows[count] = i
                    count += 1 if side[i] != 0 else 0
            row = near
        row = end
    return count


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process compile while the others wait for what it leaves on the disk."""
    try:
        import fcntl
    except ImportError:  # a system without locks compiles once in each process
        yield
        return
    from omega.backtest.compile import cache_folder

    with (cache_folder() / "sweep.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@cache
def _fast() -> Callable[..., None]:
    return compiled(cross)


@cache
def _entry_finder() -> Callable[..., int]:
    return compiled(find_entries)


def _own(array: Any) -> Any:
    """Return an array that may be written to, as the loop's machine code takes them; what cannot be is copied."""
    made = np.ascontiguousarray(array)
    return made if made.flags.writeable else made.copy()
