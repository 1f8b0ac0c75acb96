"""`backtest`: a strategy over one market or several, by the rules of the farm. Called by CLI, sweeps and research."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from omega.backtest import legs
from omega.backtest.first import run_loop, work_of
from omega.backtest.outcome import Asked, Made, result_of
from omega.backtest.pages import keep_pages
from omega.backtest.types import Costs, Limits, Market, Result
from omega.engine.bars import F64, I8, I64, Bars
from omega.engine.decision import Settings, identity, rules_for, terms_of
from omega.engine.signals import Signals
from omega.errors import ConfigError, InvariantBroken
from omega.plugins import StrategyEntry

if TYPE_CHECKING:
    from omega.backtest.influences import Influences

RULES: Final = Settings(live=False, require_stop=False)
"""What a back-test goes by when nothing else is said: the farm's sizing, and entries without a stop allowed."""

_ZERO: Final = np.zeros(1)
_FOR_EVER: Final = 2**62


def backtest(
    strategy: StrategyEntry,
    params: object,
    markets: Market | Sequence[Market],
    *,
    capital: float = 10_000.0,
    rules: Settings = RULES,
    costs: Costs = Costs(),  # noqa: B008 - frozen, one value for all
    influences: Influences | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen, one value for all
    warmup: int | None = None,
    compiled: bool | None = None,
    sparse: bool = True,
) -> Result:
    """Trade a strategy over recorded history, one equity for all markets.

    Args:
        strategy: from the registry.
        params: an instance of its `params` class.
        markets: bars and rules of one symbol or several, of one timeframe.
        capital: what it begins with, in quote currency.
        rules: sizing and exits; the fees are those of `costs`, the maintenance rate is each market's.
        costs: fees and slippage.
        influences: psychology and cosmic factors over the same time; None for neither.
        limits: of the gate; none by default.
        warmup: bars before the first decision, the strategy's own need when None.
        compiled: True runs machine code and waits until it is made, False runs the very same text in Python, far
            slower; None runs machine code, but for a first run that Python finishes before it would be made.
        sparse: walk stretches in which nothing can happen without looking at the state; the result is the same.

    Raises:
        ConfigError: there is no market, timeframes differ, a market comes twice, or the rules carry interceptors.
        InvariantBroken: the strategy returned rows that do not match the bars, or a reason that it never declared.
    """
    began = time.perf_counter()
    chosen = (markets,) if isinstance(markets, Market) else tuple(markets)
    _check(chosen, rules, capital)
    keep_pages()
    own = replace(rules_for(rules, params), taker=costs.taker)
    need = strategy.warmup(params) if warmup is None else warmup
    field = _field(strategy, params, chosen)
    book = _book(chosen, capital, costs, need, field)
    psyche, mind, sky = _influence(influences, chosen[0].timeframe_ns, field.axis, _regimes(influences, chosen))
    exits, most = (own.time_limit, own.trail, own.flip), (limits.order_notional, limits.position_notional)
    walks = sparse and len(chosen) == 1
    run_loop(
        (
            field.axis, field.ts, field.bars, field.wants, field.rates, terms_of(own), exits, most, psyche, mind, sky,
            walks, book.f, book.k, book.m, book.law, book.equity, book.held, book.out,
        ),
        compiled=compiled,
        work=work_of(len(field.ts), len(field.wants[2]), sparse=walks),
    )  # fmt: skip
    asked = Asked(strategy.name, params, chosen, own, costs, limits, need, capital, influences)
    made = Made(field.axis, field.bars[3], len(field.ts), book.m, book.equity, book.held, book.out)
    return result_of(asked, made, began)


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """The columns of all markets, one after another, and the axis of time that they share."""

    axis: I64
    ts: I64
    bars: tuple[F64, F64, F64, F64]
    wants: tuple[Any, ...]
    rates: tuple[I64, F64]
    spans: tuple[I64, I64]
    dues: tuple[I64, I64]
    firsts: I64
    legs: int


@dataclass(frozen=True, slots=True, eq=False)
class _Book:
    """State and outputs of one run, see legs."""

    f: F64
    k: I64
    m: F64
    law: F64
    equity: F64
    held: F64
    out: F64


def _book(markets: Sequence[Market], capital: float, costs: Costs, warmup: int, field: _Field) -> _Book:
    k = np.zeros((len(markets), legs.INTS), np.int64)
    k[:, legs.CURSOR], k[:, legs.LAST] = field.spans
    k[:, legs.DUE], k[:, legs.LAST_DUE] = field.dues
    k[:, legs.NEXT] = field.firsts
    k[:, legs.WARM] = field.spans[0] + warmup
    m = np.zeros(legs.MONEY)
    m[legs.CASH] = m[legs.EQUITY] = m[legs.PEAK] = capital
    n = field.axis.shape[0]
    return _Book(
        f=np.zeros((len(markets), legs.FLOATS)),
        k=k,
        m=m,
        law=np.array([_law(market, costs, s) for s, market in enumerate(markets)]),
        equity=np.empty(n),
        held=np.empty(n if len(markets) > 1 else 0),
        # By columns, as trades are read. A table of one row would be of both orders, and of another type to numba.
        out=np.empty((max(field.legs, 2), legs.TRADE), order="F"),
    )


def _check(markets: Sequence[Market], rules: Settings, capital: float) -> None:
    if not markets:
        raise ConfigError("there is no market to trade; pass one, or several")
    if len({market.timeframe_ns for market in markets}) > 1:
        raise ConfigError(f"the markets differ in timeframe: {[m.timeframe_ns for m in markets]}; resample them first")
    if len({market.symbol for market in markets}) < len(markets):
        raise ConfigError(f"a market comes twice in {[market.symbol for market in markets]}; pass each once")
    if not 0.0 < capital < inf:
        raise ConfigError(f"a capital of {capital} buys nothing; begin with more than 0, and less than infinity")
    if rules.psychology is not identity or rules.cosmic is not identity:
        raise ConfigError("history runs no interceptor objects; pass psychology and cosmic factors as influences=")
    for market in markets:
        if not market.bars.n:
            raise ConfigError(f"{market.symbol} has no bar; choose a period that holds some")


def _field(strategy: StrategyEntry, params: object, markets: Sequence[Market]) -> _Field:
    bars = [market.bars for market in markets]
    signals = [_signals(strategy, params, one) for one in bars]
    ends = np.cumsum([one.n for one in bars])
    starts = ends - np.array([one.n for one in bars])
    ts = _join([one.ts for one in bars])
    aims = max(len(made.targets) for made in signals)
    rows = [np.flatnonzero(made.side != 0) for made in signals]
    plans = [_plans(made, entered) for made, entered in zip(signals, rows, strict=True)]
    firsts = np.cumsum([0, *(len(one) for one in rows)])
    rates, dues = _funding(markets, starts)
    return _Field(
        axis=_axis([one.ts for one in bars], ts),
        ts=ts,
        bars=(
            _join([one.open for one in bars]),
            _join([one.high for one in bars]),
            _join([one.low for one in bars]),
            _join([one.close for one in bars]),
        ),
        wants=(
            _join([made.side for made in signals]),
            _join([made.exit for made in signals]),
            _join([entered + start for entered, start in zip(rows, starts, strict=True)]),
            _join(plans),
        ),
        rates=rates,
        spans=(starts, ends),
        dues=dues,
        firsts=firsts[:-1],
        legs=int(firsts[-1]) * max(aims, 1),
    )


def _signals(strategy: StrategyEntry, params: object, bars: Bars) -> Signals:
    made: Signals = strategy.signals(bars, params)
    if made.n != bars.n:
        raise InvariantBroken(f"{strategy.name} returned {made.n} rows for {bars.n} bars; align its arrays")
    low, high = int(made.reason.min()), int(made.reason.max())
    if low < 0 or high >= len(strategy.reasons):
        raise InvariantBroken(f"{strategy.name} gave reason {low} to {high} of {len(strategy.reasons)}; declare it")
    return made


def _join(columns: list[Any]) -> Any:
    """Lay the columns of all markets one after another; that of a single market stays the array that it is."""
    return np.ascontiguousarray(columns[0]) if len(columns) == 1 else np.concatenate(columns)


def _axis(columns: list[I64], joined: I64) -> I64:
    first = columns[0]
    if all(column is first or np.array_equal(column, first) for column in columns):
        return np.ascontiguousarray(first)
    return np.unique(joined)


def _plans(made: Signals, rows: I64) -> F64:
    """Gather what is said of the rows that enter: the loop reads one line of it instead of five columns."""
    plans = np.zeros((len(rows), legs.PLAN))
    plans[:, legs.P_STOP] = made.stop_distance[rows]
    for j, target in enumerate(made.targets):
        plans[:, legs.P_AIM + j] = target[rows]
    plans[:, legs.P_CONFIDENCE] = made.confidence[rows]
    return plans


def _funding(markets: Sequence[Market], starts: I64) -> tuple[tuple[I64, F64], tuple[I64, I64]]:
    """Return the rows at whose close the instants are settled, the last bar that opened before each, and the rates."""
    rows, rates = [], []
    for market, start in zip(markets, starts, strict=True):
        given, ts = market.funding, market.bars.ts
        if given is None:
            rows.append(np.zeros(0, np.int64))
            rates.append(np.zeros(0))
            continue
        inside = (given.ts > ts[0]) & (given.ts <= ts[-1] + market.timeframe_ns)
        rows.append(np.searchsorted(ts, given.ts[inside]).astype(np.int64) - 1 + start)
        rates.append(np.ascontiguousarray(given.rate[inside], np.float64))
    ends = np.cumsum([len(row) for row in rows])
    return (_join(rows), _join(rates)), (ends - np.array([len(row) for row in rows]), ends)


def _law(market: Market, costs: Costs, index: int) -> list[float]:
    steps = market.steps
    own = [market.maintenance, costs.taker, costs.slippage, float(index)]
    if steps is None:
        return [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, *own]
    price, size = _fraction(steps.price_step), _fraction(steps.size_step)
    return [*price, *size, steps.min_size, steps.min_notional, 1.0, *own]


def _fraction(step: float) -> tuple[float, float]:
    exact = Fraction(repr(float(step)))
    return float(exact.numerator), float(exact.denominator)


def _regimes(given: Influences | None, markets: Sequence[Market]) -> I8:
    """Return the regime of every row of all markets, empty where no trader looks at it."""
    if given is None:
        return np.zeros(0, np.int8)
    return np.concatenate([given.regimes(market.bars) for market in markets])


def _influence(given: Influences | None, timeframe_ns: int, axis: I64, regimes: I8) -> tuple[Any, Any, Any]:
    """Return what the loop takes of the influences; where only one is on the other is neutral, to the last bit."""
    if given is None or (given.profile is None and given.cosmic is None):
        return None, None, None
    series = given.cosmic
    if series is None:
        sky = (0, _FOR_EVER, timeframe_ns, _ZERO, _ZERO, (0.0, 0.0, 0.0), given.live)
    elif series.covers(axis, timeframe_ns):
        sky = (series.start_ns, series.step_ns, timeframe_ns, series.risk, series.confidence, series.reach, given.live)
    else:
        raise ConfigError("the cosmic series does not cover the bars; load the influences for the bars' own ts")
    return (given.traits, given.live, regimes), given.first_mind, sky
