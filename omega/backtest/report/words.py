"""What each figure is called, in which unit it is read, and what it says in plain words.

Read by the report, the picture, the table of `omega backtest` and whoever needs to know which way is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from omega.domain.time import MINUTE_NS

NOTHING: Final = "\u2013"
"""Shown for a figure that is not defined."""

_MANY: Final = 1_000.0


class Unit(StrEnum):
    """How a figure is written."""

    SHARE = "share"
    CHANGE = "change"
    RATIO = "ratio"
    MONEY = "money"
    GAIN = "gain"
    COUNT = "count"
    DAYS = "days"
    BARS = "bars"
    TIMES = "times"


class Better(StrEnum):
    """Which way a figure should go."""

    UP = "up"
    DOWN = "down"
    NEITHER = ""


@dataclass(frozen=True, slots=True)
class Word:
    """One figure in words.

    Units: target is in the unit of the figure, None where the farm sets none.
    """

    name: str
    label: str
    unit: Unit
    better: Better
    says: str
    target: float | None = None


_U, _D, _N = Better.UP, Better.DOWN, Better.NEITHER

GROUPS: Final[dict[str, tuple[Word, ...]]] = {
    "Return": (
        Word("roi", "Return", Unit.CHANGE, _U, "profit after all costs, of the capital"),
        Word("pnl", "Profit", Unit.GAIN, _U, "the same in money"),
        Word("final_equity", "Final equity", Unit.MONEY, _U, "value of the account at the last close"),
        Word("cagr", "Growth a year", Unit.CHANGE, _U, "compound annual growth (CAGR), 365 days", 0.40),
        Word("best_day", "Best day", Unit.CHANGE, _N, "largest gain of a UTC day"),
        Word("worst_day", "Worst day", Unit.CHANGE, _N, "largest loss of a UTC day"),
    ),
    "Reward for the risk": (
        Word("sharpe", "Sharpe", Unit.RATIO, _U, "mean return of a bar over its deviation, annualised", 1.5),
        Word("sharpe_daily", "Sharpe, daily", Unit.RATIO, _U, "the same from daily returns"),
        Word(
            "probabilistic_sharpe",
            "Chance that it is no luck",
            Unit.SHARE,
            _U,
            "probabilistic Sharpe: how likely the true ratio is above zero, from one trial",
            0.95,
        ),
        Word("sortino", "Sortino", Unit.RATIO, _U, "as Sharpe, but only losses count as risk"),
        Word("calmar", "Calmar", Unit.RATIO, _U, "growth a year over the deepest drawdown", 2.0),
        Word("omega", "Omega", Unit.RATIO, _U, "sum of the gains of all bars over the sum of their losses"),
    ),
    "Risk": (
        Word("max_drawdown", "Deepest drawdown", Unit.SHARE, _D, "largest fall below an earlier peak", 0.15),
        Word("max_drawdown_days", "Duration of that", Unit.DAYS, _D, "from that peak to its recovery, or to the end"),
        Word("underwater_days", "Longest under water", Unit.DAYS, _D, "longest time below an earlier peak"),
        Word("ulcer", "Ulcer index", Unit.SHARE, _D, "root mean square of the drawdown at every close"),
        Word("volatility", "Volatility", Unit.SHARE, _D, "deviation of the returns, annualised"),
        Word("var_95", "Value at risk", Unit.SHARE, _D, "daily loss that one day in twenty exceeds"),
        Word("cvar_95", "Expected shortfall", Unit.SHARE, _D, "mean loss of the worst twentieth of the days (CVaR)"),
        Word("exposure", "Time in the market", Unit.SHARE, _N, "share of the bars with a position"),
        Word("mean_leverage", "Mean leverage", Unit.TIMES, _N, "position over equity while in the market"),
    ),
    "Trades": (
        Word("trades", "Round trips", Unit.COUNT, _N, "entries with all of their exits"),
        Word("legs", "Legs", Unit.COUNT, _N, "partial exits counted one by one"),
        Word("win_rate", "Won", Unit.SHARE, _U, "share of round trips with a profit after costs", 0.55),
        Word("profit_factor", "Profit factor", Unit.RATIO, _U, "money won over money lost", 1.5),
        Word("payoff", "Payoff", Unit.RATIO, _U, "mean win over mean loss", 1.5),
        Word("expectancy", "Expectancy", Unit.GAIN, _U, "mean profit of a round trip"),
        Word("trade_return", "Mean return", Unit.CHANGE, _U, "profit of a round trip over its value at entry"),
        Word("best_trade", "Best round trip", Unit.CHANGE, _N, "of the equity at its entry"),
        Word("worst_trade", "Worst round trip", Unit.CHANGE, _N, "of the equity at its entry"),
        Word("losing_streak", "Longest losing streak", Unit.COUNT, _D, "round trips in a row without a profit"),
        Word("trade_bars", "Mean duration", Unit.BARS, _N, "from the bar of the entry to the bar of the last exit"),
        Word("trades_per_day", "Round trips a day", Unit.RATIO, _N, "how often it trades"),
        Word("mae_mean", "Mean adverse move", Unit.CHANGE, _N, "furthest against the position (MAE), from the entry"),
        Word("mae_worst", "Worst adverse move", Unit.CHANGE, _N, "the largest MAE of all"),
        Word("mfe_mean", "Mean favourable move", Unit.CHANGE, _N, "furthest in its favour (MFE), from the entry"),
        Word("mfe_best", "Best favourable move", Unit.CHANGE, _N, "the largest MFE of all"),
    ),
    "Costs": (
        Word("gross_pnl", "Before costs", Unit.GAIN, _U, "what the price alone brought"),
        Word("fees", "Fees", Unit.MONEY, _D, "paid to the venue"),
        Word("fee_share", "Eaten by fees", Unit.SHARE, _D, "fees over the profit before costs"),
        Word("funding", "Funding", Unit.GAIN, _U, "received (paid, when negative) at the funding instants"),
        Word("turnover", "Turnover", Unit.MONEY, _N, "value of everything bought and sold"),
        Word("turnover_per_year", "Turnover a year", Unit.TIMES, _N, "in multiples of the mean equity"),
    ),
    "Against holding": (
        Word("hold_roi", "Holding: return", Unit.CHANGE, _N, "bought at the first open and kept, without costs"),
        Word("excess_roi", "Difference", Unit.CHANGE, _U, "return minus that of holding"),
        Word("hold_cagr", "Holding: growth a year", Unit.CHANGE, _N, "compound, 365 days"),
        Word("hold_sharpe", "Holding: Sharpe", Unit.RATIO, _N, "of its bars, annualised"),
        Word("hold_volatility", "Holding: volatility", Unit.SHARE, _N, "of its bars, annualised"),
        Word("hold_max_drawdown", "Holding: drawdown", Unit.SHARE, _N, "its deepest"),
        Word("beta", "Beta", Unit.RATIO, _N, "how much it moves when holding moves by one, by day"),
        Word("correlation", "Correlation", Unit.RATIO, _N, "with holding, by day"),
    ),
}
"""Every figure that a reader sees, in the order of reading. Targets: the performance targets of the farm."""

WORDS: Final[dict[str, Word]] = {word.name: word for words in GROUPS.values() for word in words}


def written(name: str, value: float) -> str:
    """Return a figure as people read it, with its unit, or a dash when it is not defined."""
    if not math.isfinite(value):
        return NOTHING
    return _WRITERS[WORDS[name].unit](value)


def meets_target(word: Word, value: float) -> bool | None:
    """Tell whether a figure meets the farm's target; None without a target or without a figure."""
    if word.target is None or not math.isfinite(value):
        return None
    return value <= word.target if word.better is Better.DOWN else value >= word.target


def percent(value: float, *, signed: bool = False) -> str:
    """Write a fraction as per cent: two places below 10 %, one up to 1,000 %, none beyond."""
    shown = value * 100.0
    places = 2 if abs(shown) < 10.0 else 1 if abs(shown) < _MANY else 0  # noqa: PLR2004 - three figures are read
    text = f"{shown:{'+' if signed else ''},.{places}f} %"
    return _minus(text)


def short_percent(value: float) -> str:
    """Write a round fraction as per cent without needless places, as beside a grid."""
    return _minus(f"{value * 100.0:.6g} %")


def money(value: float, *, signed: bool = False) -> str:
    """Write an amount with two places, none from a million on."""
    places = 0 if abs(value) >= 1e6 else 2  # noqa: PLR2004 - a million needs no cents
    return _minus(f"{value:{'+' if signed else ''},.{places}f}")


def price(value: float) -> str:
    """Write a price with the places that its size needs."""
    places = 2 if abs(value) >= 100.0 else 4 if abs(value) >= 1.0 else 6  # noqa: PLR2004 - as venues quote them
    return f"{value:,.{places}f}"


def duration(days: float) -> str:
    """Write a time in the unit that fits: minutes, hours or days."""
    hours = days * 24.0
    if hours < 1.0:
        return f"{hours * 60.0:.0f} min"
    return f"{hours:.1f} h" if hours < 48.0 else f"{days:,.1f} days"  # noqa: PLR2004 - two days are still hours


def timeframe(length_ns: int) -> str:
    """Write the length of a bar as the venues do: `1m`, `4h`, `1d`."""
    minutes = length_ns / MINUTE_NS
    for unit, size in (("w", 10_080), ("d", 1_440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes / size:.0f}{unit}"
    return f"{minutes:g}m"


def _ratio(value: float) -> str:
    return _minus(f"{value:,.2f}" if abs(value) < _MANY else f"{value:,.0f}")


def _minus(text: str) -> str:
    """Use the typographic minus, and none for a zero."""
    plain = text.replace("-", "\u2212")
    return plain.replace("\u2212", "").replace("+", "") if not any(digit in plain for digit in "123456789") else plain


_WRITERS: Final[dict[Unit, Callable[[float], str]]] = {
    Unit.SHARE: percent,
    Unit.CHANGE: lambda value: percent(value, signed=True),
    Unit.RATIO: _ratio,
    Unit.MONEY: money,
    Unit.GAIN: lambda value: money(value, signed=True),
    Unit.COUNT: lambda value: f"{value:,.0f}",
    Unit.DAYS: duration,
    Unit.BARS: lambda value: f"{value:,.1f} bars",
    Unit.TIMES: lambda value: f"{_ratio(value)}\u00d7",
}
