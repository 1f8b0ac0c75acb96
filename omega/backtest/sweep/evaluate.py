"""Runs combinations over one market: sparsely where the rules allow it, else by the whole back-test. Called by workers.

Both ways give the same trades and the same money to the last bit; which one ran is in `mode`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from omega.backtest.metrics import metrics
from omega.backtest.run import backtest
from omega.backtest.sweep.figures import Sums, figures_of, won_and_lost
from omega.backtest.sweep.job import Job, Outcome, Stretch, Task, cut
from omega.backtest.types import Market, Result
from omega.engine.bars import Bars
from omega.engine.regime import REGIME_BARS
from omega.engine.signals import Signals
from omega.errors import ConfigError
from omega.plugins import StrategyEntry, parse_params, strategies

if TYPE_CHECKING:
    from omega.backtest.sweep.lazy import Traced
    from omega.backtest.sweep.sparse import Walker

SPARSE: Final = "sparse"
SHARED: Final = "shared"
PLAIN: Final = "plain"

_SAMPLE: Final = 20_000
"""Bars on which the first traces of a strategy are held against the strategy itself."""

_UNTRACED: Final = (TypeError, ValueError, IndexError, AttributeError)
"""What a strategy raises when a traced column is not the array that it takes it for."""


class Evaluator:
    """One strategy over one market, combination after combination.

    Attributes:
        mode: `sparse` (events alone), `shared` (whole loop, shared indicators) or `plain` (the strategy as it is).
    """

    def __init__(self, job: Job, market: Market) -> None:
        with _talib_alone():
            strategies.discover(job.package or None)
        self._job = job
        self._market = market
        self._entry = strategies.get(job.strategy)
        if self._entry.read_only:
            raise ConfigError(f"{job.strategy} is read-only: it never enters, so there is nothing to sweep")
        self._influences = _influences(job, market)
        self._before = REGIME_BARS if self._influences is not None and self._influences.adapts else 0
        self._said: tuple[object, Signals] | None = None
        self._tracer = _Tracer(self._entry, market.bars)
        self._walker = None if job.whole else _walker(job, market, self._influences)
        self.mode = SHARED if job.whole else SPARSE

    def evaluate(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Return the outcome of every stretch of every task, in no particular order."""
        outcomes: list[Outcome] = []
        waiting: list[tuple[Task, Any, int, Traced]] = []
        for task in tasks:
            try:
                params: Any = parse_params(self._entry.params, {**self._job.fixed, **task.params})
            except ConfigError as refusal:
                outcomes += [_refused(task, stretch, str(refusal)) for stretch in task.stretches]
                continue
            traced = self._tracer.trace(params)
            if traced is None:
                self.mode = PLAIN
            if traced is None or self._walker is None:
                outcomes += [self._whole(task, params, stretch, traced) for stretch in task.stretches]
                continue
            waiting.append((task, params, self._entry.warmup(params), traced))
            if len(waiting) == self._walker.batch:
                outcomes += self._walker.run(waiting)
                waiting.clear()
        if self._walker is not None and waiting:
            outcomes += self._walker.run(waiting)
        return outcomes

    def _whole(self, task: Task, params: Any, stretch: Stretch, traced: Traced | None) -> Outcome:
        result = self._result(params, stretch, traced)
        found = metrics(result) | walked(result)
        return Outcome(task.number, stretch.fold, task.params, found)

    def _result(self, params: Any, stretch: Stretch, traced: Traced | None) -> Result:
        """Run one combination through the whole back-test; a stretch begins with the bars that warm it up."""
        high = self._market.bars.n if stretch.high < 0 else stretch.high
        warm = self._entry.warmup(params)
        first = max(stretch.low - max(warm, self._before), 0) if stretch.low else 0
        market = self._market if (first, high) == (0, self._market.bars.n) else cut(self._market, first, high)
        entry = self._entry
        if traced is not None:
            said = self._signals(params, traced)
            entry = replace(entry, signals=lambda _bars, _params: _rows(said, first, high))
        result = backtest(
            entry,
            params,
            market,
            capital=self._job.capital,
            rules=self._job.rules,
            costs=self._job.costs,
            influences=self._influences,
            warmup=max(warm, stretch.low - first),
        )
        return _without(result, stretch.low - first) if stretch.low > first else result

    def _signals(self, params: Any, traced: Traced) -> Signals:
        """Return finished signals; the stretches of one combination share them."""
        if self._said is None or self._said[0] is not params:
            self._said = (params, finished(traced))
        return self._said[1]


def walked(result: Result) -> dict[str, float]:
    """Return the figures of a whole back-test from the sums that it collected on its way, as the sparse walk does."""
    trades, seven = result.trades, result.seven
    won, lost = won_and_lost(trades.pnl, trades.position)
    sums = Sums(
        final_equity=seven["final_equity"],
        trades=int(seven["trades"]),
        wins=int(seven["wins"]),
        max_drawdown=seven["max_drawdown"],
        total=seven["sum_returns"],
        squares=seven["sum_squares"],
        downside_squares=seven["sum_downside_squares"],
        won=won,
        lost=lost,
        fees=result.fees,
        funding=result.funding,
        turnover=result.turnover,
        legs=trades.n,
    )
    span = int(result.ts[-1] - result.ts[0]) + result.timeframe_ns
    return figures_of(sums, bars=len(result.ts), timeframe_ns=result.timeframe_ns, span_ns=span, capital=result.capital)


class _Tracer:
    """Traces a strategy, after it has been seen to say the same traced and plain."""

    def __init__(self, entry: StrategyEntry, bars: Bars) -> None:
        from omega.backtest.sweep.lazy import Indicators, Twin

        self._entry = entry
        self._sample = bars.prefix(_SAMPLE)
        self._twin: Twin | None = Twin(entry.signals, bars, Indicators())
        self._short = Twin(entry.signals, self._sample, Indicators())
        self._checks = 3

    def trace(self, params: Any) -> Traced | None:
        """Return the traced signals, None when this strategy must be run plainly."""
        if self._twin is None:
            return None
        try:
            if self._checks:
                self._checks -= 1
                _same(finished(self._short(params)), self._entry.signals(self._sample, params))
            return self._twin(params)
        except _UNTRACED as error:
            from omega._structlog import structlog  # megabytes that most workers never need

            structlog.get_logger(__name__).warning("strategy.run_plainly", strategy=self._entry.name, why=str(error))
            self._twin = None
            return None


def finished(traced: Traced) -> Signals:
    """Return what a strategy said as ordinary signals, with all their checks."""
    # Copies: the loop is compiled for arrays that may be written to, and again for others.
    return Signals.of(
        side=traced.side.values().copy(),
        exit=traced.exit.values().copy(),
        stop_distance=traced.stop_distance.values().copy(),
        targets=tuple(target.values().copy() for target in traced.targets),
        confidence=traced.confidence.values().copy(),
        reason=traced.reason.values().copy(),
    )


def _same(one: Signals, other: Signals) -> None:
    """Refuse a trace that differs from the strategy in any bit.

    Raises:
        ValueError: it does.
    """
    names = ("side", "exit", "stop_distance", "confidence", "reason")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    pairs += list(zip(one.targets, other.targets, strict=True))
    if not all(np.array_equal(a, b) for a, b in pairs):
        raise ValueError("traced signals differ from plain ones")


def _rows(signals: Signals, low: int, high: int) -> Signals:
    rows = slice(low, high)
    return Signals(
        signals.side[rows],
        signals.exit[rows],
        signals.stop_distance[rows],
        tuple(target[rows] for target in signals.targets),
        signals.confidence[rows],
        signals.reason[rows],
    )


def _without(result: Result, warm: int) -> Result:
    """Return a result without its first rows, in which nothing was traded yet."""
    trades = result.trades
    moved = replace(trades, entry_row=trades.entry_row - warm, exit_row=trades.exit_row - warm)
    return replace(
        result,
        ts=result.ts[warm:],
        equity=result.equity[warm:],
        held=result.held[warm:],
        trades=moved,
        bars=result.bars - warm,
    )


def _refused(task: Task, stretch: Stretch, why: str) -> Outcome:
    return Outcome(task.number, stretch.fold, task.params, {}, why)


def _influences(job: Job, market: Market) -> Any:
    if job.profile in {"", "off"} and job.preset in {"", "off"}:
        return None
    from omega.backtest.influences import load_influences

    return load_influences(job.profile or "off", job.preset or "off", market.bars.ts, timeframe_ns=market.timeframe_ns)


def _walker(job: Job, market: Market, influences: Any) -> Walker:
    from omega.backtest.sweep.sparse import Walker

    return Walker(job, market, influences)


@contextmanager
def _talib_alone() -> Iterator[None]:
    """Keep TA-Lib from importing pandas and polars on the way: 80 MB that no strategy of arrays needs."""
    hidden = {name: sys.modules.get(name) for name in ("pandas", "polars")}
    absent = [name for name, module in hidden.items() if module is None]
    modules: Mapping[str, Any] = sys.modules
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # how Python spells "not to be imported"
    try:
        import talib  # noqa: F401 - for its effect: strategies find it loaded
    finally:
        for name in absent:
            if modules.get(name) is None:
                del sys.modules[name]
    yield
