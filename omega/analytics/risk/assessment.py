"""The risk of a book: each position, and the account as a whole, with levels LOW, MEDIUM and HIGH and their reasons.

Called by the analytics service and `omega analyze SYMBOL risk`. Measures have the definitions of the gateway's gate
(gross, net, leverage, concentration by coin, correlated notional), here over open positions alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from omega.analytics.risk.correlation import Together, correlate_returns, shared_returns
from omega.analytics.risk.stress import Stressed, coin_of, stress
from omega.analytics.risk.tails import LEAST, Tail, tails
from omega.engine.account import AccountBook, OpenPosition, RiskLevel, liquidation_distance, liquidation_risk
from omega.engine.advice import position_name
from omega.engine.bars import F64, Bars
from omega.engine.market import volatility

_WINDOW: Final = 20
_DAY_NS: Final = 86_400_000_000_000
_ORDER: Final = (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a figure becomes MEDIUM and where HIGH.

    Units: leverage gross notional over equity; concentration, margin, value at risk a day at 95 % and the loss in the
        worst recorded scenario as fractions of the equity; correlation from which two markets count together.
    """

    leverage: tuple[float, float] = (0.8, 2.0)
    concentration: tuple[float, float] = (0.5, 1.0)
    margin: tuple[float, float] = (0.5, 0.8)
    value_at_risk: tuple[float, float] = (0.03, 0.08)
    stressed_loss: tuple[float, float] = (0.2, 0.5)
    correlated: float = 0.7


DEFAULT: Final = Limits()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a level is above LOW. The measure, its figure and the bound it reached."""

    level: RiskLevel
    measure: str
    value: float
    bound: float
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PositionRisk:
    """One position.

    Units: notional in quote currency; liquidation_distance a fraction of the liquidation price, None without one;
        stop_distance a fraction of the mark, None without a known stop; at_risk the loss at that stop over equity, None
        while a part has no stop; unstopped the notional of that part, 0 while stops are not known at all;
        daily_volatility of its market, None when it is not known; days the liquidation distance in daily deviations.
    """

    name: str
    notional: float
    liquidation_distance: float | None
    stop_distance: float | None
    at_risk: float | None
    unstopped: float
    daily_volatility: float | None
    days: float | None
    level: RiskLevel


@dataclass(frozen=True, slots=True)
class Assessment:
    """A book.

    Units: gross, net, long, short and correlated in quote currency; leverage, concentration and margin over equity,
        None when equity is not above zero.

    Attributes:
        tails: value at risk and shortfall a day by three methods, of today's positions over past returns, as fractions
            of the equity; empty when the markets' returns are not known.
        correlation: of the markets held, None with fewer than two known.
        stressed: the book under recorded scenarios, the worst first.
        level: the highest level of any reason.
        reasons: the urgent first.
        caveats: what is not known.
    """

    equity: float
    gross: float
    net: float
    long: float
    short: float
    leverage: float | None
    concentration: float | None
    largest_coin: str
    margin: float | None
    correlated: float
    positions: tuple[PositionRisk, ...]
    tails: tuple[Tail, ...]
    correlation: Together | None
    stressed: tuple[Stressed, ...]
    level: RiskLevel
    reasons: tuple[Reason, ...]
    caveats: tuple[str, ...]


def assess(
    book: AccountBook,
    markets: Mapping[str, Bars],
    timeframe_ns: int,
    rng: np.random.Generator,
    *,
    stops: Mapping[tuple[str, str, int], float] | None = None,
    unstopped: Mapping[tuple[str, str, int], float] = MappingProxyType({}),
    limits: Limits = DEFAULT,
) -> Assessment:
    """Assess a book.

    Args:
        book: the account.
        markets: closed bars of the symbols held; one that is missing is said to be.
        timeframe_ns: length of the bars.
        rng: draws the paths of the filtered simulation.
        stops: stop price by position key (account, symbol, side); None when stops are not known at all, and a position
            that a given mapping does not name counts as one without a stop.
        unstopped: notional by position key that has no stop beside a part that has one: of another bot.
        limits: where figures become MEDIUM and HIGH.
    """
    equity = book.equity
    caveats = [] if equity > 0.0 else [f"equity is {equity:.2f}: ratios to it are not defined"]
    missing = sorted({p.symbol for p in book.positions} - set(markets))
    if missing:
        caveats.append(f"no bars of {', '.join(missing)}: left out of volatility, tails and correlation")
    if stops is None and book.positions:
        caveats.append("stops are not known")
    positions = tuple(_position(p, book, markets, timeframe_ns, stops, unstopped) for p in book.positions)
    together = _together(book, markets, caveats)
    found = _tails(book, markets, timeframe_ns, rng, caveats)
    coin, coins = _largest_coin(book)
    gross = book.long_notional + book.short_notional
    margin = sum(p.notional / max(p.leverage, 1.0) for p in book.positions)
    made = Assessment(
        equity=equity,
        gross=gross,
        net=book.long_notional - book.short_notional,
        long=book.long_notional,
        short=book.short_notional,
        leverage=gross / equity if equity > 0.0 else None,
        concentration=coins / equity if equity > 0.0 else None,
        largest_coin=coin,
        margin=margin / equity if equity > 0.0 else None,
        correlated=correlated_notional(book, together, limits.correlated),
        positions=positions,
        tails=found,
        correlation=together,
        stressed=stress(book) if book.positions else (),
        level=RiskLevel.LOW,
        reasons=(),
        caveats=tuple(caveats),
    )
    return _levelled(made, limits)


def correlated_notional(book: AccountBook, together: Together | None, threshold: float) -> float:
    """Return the worst net notional of a symbol and of all that move with it, or against it, in quote currency.

    Source: the gate's measure of the same name, `services/gateway/risk`.
    """
    signed: dict[str, tuple[float, float]] = {}
    for p in book.positions:
        long, short = signed.get(p.symbol, (0.0, 0.0))
        signed[p.symbol] = (long + p.notional, short) if p.side > 0 else (long, short + p.notional)
    worst = 0.0
    for one in signed:
        long_sum = short_sum = 0.0
        for other, (long, short) in signed.items():
            sign = _sign(one, other, together, threshold)
            if sign:
                long_sum += long if sign > 0 else short
                short_sum += short if sign > 0 else long
        worst = max(worst, long_sum, short_sum)
    return worst


def book_returns(book: AccountBook, markets: Mapping[str, Bars]) -> F64:
    """Return what today's positions would have returned over the markets' shared past, as fractions of the equity.

    Shapes: (n,), one a bar that all held markets have.
    """
    held = {p.symbol: markets[p.symbol] for p in book.positions if p.symbol in markets}
    if not held or book.equity <= 0.0:
        return np.zeros(0)
    weights = np.array([sum(p.side * p.notional for p in book.positions if p.symbol == s) / book.equity for s in held])
    made: F64 = np.expm1(shared_returns(held)) @ weights
    return made


def _position(
    p: OpenPosition,
    book: AccountBook,
    markets: Mapping[str, Bars],
    timeframe_ns: int,
    stops: Mapping[tuple[str, str, int], float] | None,
    unstopped: Mapping[tuple[str, str, int], float],
) -> PositionRisk:
    stop = (stops or {}).get(p.key, 0.0)
    away = p.side * (p.mark - stop) / p.mark if stop > 0.0 else None
    bare = 0.0 if stops is None else p.notional if away is None else unstopped.get(p.key, 0.0)
    daily = None
    if p.symbol in markets and markets[p.symbol].n > _WINDOW:
        daily = volatility(markets[p.symbol].close, _WINDOW) * math.sqrt(_DAY_NS / timeframe_ns)
    distance = liquidation_distance(p)
    return PositionRisk(
        name=position_name(p),
        notional=p.notional,
        liquidation_distance=distance,
        stop_distance=away,
        at_risk=away * p.notional / book.equity if away is not None and not bare and book.equity > 0.0 else None,
        unstopped=bare,
        daily_volatility=daily,
        days=distance / daily if distance is not None and daily else None,
        level=liquidation_risk(p),
    )


def _together(book: AccountBook, markets: Mapping[str, Bars], caveats: list[str]) -> Together | None:
    held = {p.symbol: markets[p.symbol] for p in book.positions if p.symbol in markets}
    if len(held) < 2:  # noqa: PLR2004 - one market moves with itself
        return None
    returns = shared_returns(held)
    if len(returns) < LEAST or not (returns.std(axis=0) > 0.0).all():
        caveats.append(f"{len(returns)} shared bars are too few to correlate the markets held")
        return None
    return correlate_returns(tuple(held), returns)


def _tails(
    book: AccountBook, markets: Mapping[str, Bars], timeframe_ns: int, rng: np.random.Generator, caveats: list[str]
) -> tuple[Tail, ...]:
    returns, horizon = book_returns(book, markets), max(round(_DAY_NS / timeframe_ns), 1)
    if len(returns) < LEAST + horizon:
        if book.positions:
            caveats.append(f"{len(returns)} shared bars are too few for a value at risk")
        return ()
    return tails(returns, rng, horizon=horizon)


def _largest_coin(book: AccountBook) -> tuple[str, float]:
    coins: dict[str, float] = {}
    for p in book.positions:
        coins[coin_of(p.symbol)] = coins.get(coin_of(p.symbol), 0.0) + p.notional
    return max(coins.items(), key=lambda pair: pair[1], default=("", 0.0))


def _sign(one: str, other: str, together: Together | None, threshold: float) -> int:
    if one == other:
        return 1
    if together is None or one not in together.symbols or other not in together.symbols:
        return 0
    value = together.of(one, other)
    return 0 if abs(value) < threshold else 1 if value > 0.0 else -1


def _levelled(made: Assessment, limits: Limits) -> Assessment:
    reasons = tuple(sorted(_reasons(made, limits), key=lambda r: -_ORDER.index(r.level)))
    level = max((r.level for r in reasons), key=_ORDER.index, default=RiskLevel.LOW)
    return replace(made, reasons=reasons, level=level)


def _reasons(made: Assessment, limits: Limits) -> Iterator[Reason]:
    if made.gross > 0.0 and made.leverage is None:
        yield Reason(RiskLevel.HIGH, "equity", made.equity, 0.0)
    for p in made.positions:
        if p.level is not RiskLevel.LOW and p.liquidation_distance is not None:
            bound = 0.05 if p.level is RiskLevel.HIGH else 0.10
            yield Reason(p.level, "liquidation_distance", p.liquidation_distance, bound, p.name)
        if p.unstopped > 0.0:
            yield Reason(RiskLevel.HIGH, "no_stop", p.unstopped, 0.0, p.name)
    worst = max((t.var for t in made.tails), default=0.0)
    stressed = max((s.loss for s in made.stressed if s.loss is not None), default=0.0)
    for measure, value, bounds in (
        ("leverage", made.leverage, limits.leverage),
        ("concentration", made.concentration, limits.concentration),
        ("margin", made.margin, limits.margin),
        ("value_at_risk", worst, limits.value_at_risk),
        ("stressed_loss", stressed, limits.stressed_loss),
    ):
        if value is not None and value > bounds[0]:
            high = value > bounds[1]
            yield Reason(RiskLevel.HIGH if high else RiskLevel.MEDIUM, measure, value, bounds[1] if high else bounds[0])
