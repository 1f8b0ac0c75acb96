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
from omega.backtest.run import _funding, _influence, _law, _regimes
from omega.backtest.sweep.fast import BLOCK, cross_all, fits
from omega.backtest.sweep.figures import Sums, figures_of, won_and_lost
from omega.backtest.sweep.job import BATCH, Job, Outcome, Stretch, Task, cut
from omega.backtest.sweep.lazy import Planes, Traced, bits, cast
from omega.backtest.sweep.lazy.nodes import Constant, Node
from omega.backtest.sweep.worth import DESK
from omega.backtest.types import Market
from omega.engine.bars import F64, I8, I64, Flags
from omega.engine.decision import Settings, Sizing, rules_for, terms_of
from omega.errors import CorruptData

_ABREAST: Final = 15
"""Combinations of a batch that go through the bars together."""

_SIDE: Final = np.dtype(np.int8)
_FLAG: Final = np.dtype(np.bool_)
_REHEARSED: Final = 64

_ABOVE_ONE: Final = float(np.nextafter(1.0, 2.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Wants:
    """What a combination asks of the whole history.

    Shapes: rows, sides (k,), plans (k, legs.PLAN): the rows that enter and what is said of them.
    """

    rows: I64
    sides: I8
    plans: F64
    leave: bits.Words

    def dense(self, n: int) -> tuple[I8, Flags]:
        """Return side and exit of every row, as the loop takes them."""
        side = np.zeros(n, np.int8)
        side[self.rows] = self.sides
        return side, bits.unpacked(self.leave, n)


@dataclass(frozen=True, slots=True, eq=False)
class _Plain:
    """A combination of the plainest kind: where it enters and where it leaves is all that there is to know."""

    task: Task
    warm: int
    enter: bits.Words
    leave: bits.Words


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """One stretch of the market as the loop takes it."""

    market: Market
    bars: tuple[F64, F64, F64, F64]
    rates: tuple[I64, F64]
    dues: tuple[I64, I64]
    law: F64
    regimes: I8
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
        self._rows = np.empty(market.bars.n, np.int64)
        self._curve = np.empty(market.bars.n)
        self._held = np.empty(0)
        self._desk = np.ones(DESK)
        self._out = np.empty((0, legs.TRADE))
        self._prices = (_own(market.bars.open), _own(market.bars.close))
        free = influences is None and market.steps is None and market.funding is None
        self._plain = free and job.rules.sizing is Sizing.ALL_IN
        self._play = compiled(play)
        with _alone():
            self._rehearse()

    def run(self, batch: Sequence[tuple[Task, Any, int, Traced]]) -> list[Outcome]:
        """Return the outcomes of some combinations: (task, its parameters, bars that warm it up, its signals)."""
        nodes = [(cast(traced.side, _SIDE), cast(traced.exit, _FLAG)) for *_, traced in batch]
        self._planes.prepare(node for pair in nodes for node in pair)
        outcomes: list[Outcome] = []
        plain: list[_Plain] = []
        for (task, params, warm, traced), (side, leave) in zip(batch, nodes, strict=True):
            rules = rules_for(self._job.rules, params)
            enter, left = self._planes.of(side), self._planes.of(leave)
            if self._plain and fits(terms_of(rules), (rules.time_limit, rules.trail)) and _says_no_more(traced):
                plain.append(_Plain(task, warm, enter, left))
                if len(plain) == _ABREAST:
                    outcomes += self._walk_together(plain)
                    plain.clear()
            else:
                outcomes += self._walk_all(task, rules, warm, self._wants(traced, enter, left), len(traced.targets))
        return outcomes + self._walk_together(plain)

    def _rehearse(self) -> None:
        """Walk a few bars in which nothing is entered, so that the machine code is there before time is taken."""
        n = self._market.bars.n
        nothing, zero = Constant(n, np.bool_(False)), Constant(n, np.float64(0.0))
        silent = Traced(nothing, nothing, zero, (), Constant(n, np.float64(1.0)), Constant(n, np.int16(0)))
        self.run([(Task(0, {}, (Stretch(0, 0, _REHEARSED),)), None, 0, silent)])
        bits.rows_of(np.zeros(bits.room(n), np.uint64), self._rows)
        closes = self._market.bars.close[: bits.WORD].copy()
        closes.flags.writeable = False  # as Planes gives its columns
        bits.compare_all([closes], [(0, 0, 0)], np.empty((1, 1), np.uint64))

    def _wants(self, traced: Traced, side: bits.Words, leave: bits.Words) -> _Wants:
        """Return what a combination asks, its entries checked as `Signals.of` does."""
        rows = bits.rows_of(side, self._rows).copy()
        sides = np.ones(len(rows), np.int8)
        if traced.side.dtype != _FLAG:
            given = traced.side.at(rows)
            if not (np.abs(given) == 1).all():
                raise CorruptData("signals: side must be a row of -1, 0 and 1; check the strategy's np.where")
            sides = given.astype(np.int8)
        plans = np.zeros((len(rows), legs.PLAN))
        plans[:, legs.P_STOP] = _sound("stop_distance", traced.stop_distance, rows, np.inf)
        for j, target in enumerate(traced.targets):
            plans[:, legs.P_AIM + j] = _sound(f"targets[{j}]", target, rows, np.inf)
        plans[:, legs.P_CONFIDENCE] = _sound("confidence", traced.confidence, rows, _ABOVE_ONE)
        return _Wants(rows, sides, plans, leave)

    def _walk_together(self, plain: Sequence[_Plain]) -> list[Outcome]:
        """Walk combinations of the plainest kind, those of the same stretch side by side."""
        stretches: dict[Stretch, list[_Plain]] = {}
        for one in plain:
            for stretch in one.task.stretches:
                stretches.setdefault(stretch, []).append(one)
        outcomes = []
        for stretch, members in stretches.items():
            field = self._field(stretch)
            m, pnls = self._across(field, members)
            for one, row, pnl in zip(members, m, pnls, strict=True):
                figures = self._figures(field, row, won_and_lost(pnl[: int(row[legs.LEGS])]))
                outcomes.append(Outcome(one.task.number, stretch.fold, one.task.params, figures))
        return outcomes

    def _across(self, field: _Field, members: Sequence[_Plain]) -> tuple[F64, F64]:
        """Run combinations of the plainest kind from event to event; return their money, and what each trade made."""
        m = np.zeros((len(members), legs.MONEY))
        m[:, [legs.CASH, legs.EQUITY, legs.PEAK]] = self._job.capital
        enter = np.array([one.enter for one in members]).view(np.int64)
        leave = np.array([one.leave for one in members]).view(np.int64)
        at = np.array([max(one.warm, field.low) for one in members], np.int64)
        pnls = np.empty((len(members), int(np.bitwise_count(enter).sum(axis=1).max())))
        open_, close = self._prices
        costs = self._job.costs
        _fast()(BLOCK, field.high, open_, close, enter, leave, costs.taker, costs.slippage, at, m, pnls, self._desk)
        return m, pnls

    def _walk_all(self, task: Task, rules: Settings, warm: int, wants: _Wants, aims: int) -> list[Outcome]:
        """Walk the stretches of one combination by the loop."""
        dense = wants.dense(self._market.bars.n)
        outcomes = []
        for stretch in task.stretches:
            field = self._field(stretch)
            first, last = np.searchsorted(wants.rows, [field.low, field.high])
            self._make_room(int(last - first) * max(aims, 1))
            m, trips = self._through(field, rules, warm, wants, slice(first, last), dense)
            outcomes.append(Outcome(task.number, stretch.fold, task.params, self._figures(field, m, trips)))
        return outcomes

    def _through(
        self, field: _Field, rules: Settings, warm: int, wants: _Wants, entries: slice, dense: tuple[I8, Flags]
    ) -> tuple[F64, tuple[float, float]]:
        """Run the loop over a stretch; return its money, and what was won and lost."""
        own = replace(rules, taker=self._job.costs.taker)
        part = slice(field.low, field.high)
        psyche, mind, sky = _influence(self._influences, field.market.timeframe_ns, field.market.bars.ts, field.regimes)
        ts = _own(field.market.bars.ts)
        inside = (dense[0][part], dense[1][part], wants.rows[entries] - field.low, wants.plans[entries])
        k, m = self._state(field, max(warm - field.low, 0))
        self._play(
            ts, ts, field.bars, inside, field.rates, terms_of(own), (own.time_limit, own.trail, own.flip), (0.0, 0.0),
            psyche, mind, sky, True,
            np.zeros((1, legs.FLOATS)), k, m, field.law, self._curve[: len(ts)], self._held, self._out,
        )  # fmt: skip
        closed = self._out[: int(m[legs.LEGS])]
        return m, won_and_lost(closed[:, legs.T_PNL], closed[:, legs.T_POSITION].astype(np.int64))

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
            # As the signals: a stretch's first bar knows the market before it.
            regimes = _regimes(self._influences, (self._market,))[stretch.low : high]
            found = _Field(market, prices, rates, dues, law, regimes, stretch.low, high)
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

    def _figures(self, field: _Field, m: F64, trips: tuple[float, float]) -> dict[str, float]:
        bars = field.market.bars
        sums = Sums(
            final_equity=float(m[legs.CASH]),
            trades=int(m[legs.TRIPS]),
            wins=int(m[legs.WINS]),
            max_drawdown=float(m[legs.DEEPEST]),
            total=float(m[legs.SUM]),
            squares=float(m[legs.SQUARES]),
            downside_squares=float(m[legs.DOWNSIDE]),
            won=trips[0],
            lost=trips[1],
            fees=float(m[legs.FEES]),
            funding=float(m[legs.FUNDING]),
            turnover=float(m[legs.TURNOVER]),
            legs=int(m[legs.LEGS]),
        )
        span = int(bars.ts[-1] - bars.ts[0]) + field.market.timeframe_ns
        return figures_of(
            sums, bars=bars.n, timeframe_ns=field.market.timeframe_ns, span_ns=span, capital=self._job.capital
        )


def _says_no_more(traced: Traced) -> bool:
    """Whether it is long or flat, with one sound confidence and neither stop nor target: where it enters says all."""
    confidence = traced.confidence
    return (
        traced.side.dtype == _FLAG
        and isinstance(confidence, Constant)
        and 0.0 <= float(confidence.value) <= 1.0
        and all(isinstance(one, Constant) and one.value == 0.0 for one in (traced.stop_distance, *traced.targets))
    )


def _sound(name: str, column: Node, rows: I64, below: float) -> Any:
    """Return what is said of the rows that enter.

    Raises:
        CorruptData: some of it is no number, negative or too large.
    """
    found: Any = column.value if isinstance(column, Constant) else column.at(rows)
    if len(rows) and not np.all((found >= 0.0) & (found < below)):
        raise CorruptData(f"signals: a row enters with an unsound {name}; enter only where the indicators are ready")
    return found


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
    return compiled(cross_all)


def _own(array: Any) -> Any:
    """Return an array that may be written to, as the loop's machine code takes them; what cannot be is copied."""
    made = np.ascontiguousarray(array)
    return made if made.flags.writeable else made.copy()
