"""The condition of one market: direction, volatility, regime, persistence, and how much caution that asks for.

Called by the analytics service and the assessment of a book. The rules on closes are those of `omega.engine.market`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.analytics.forecast.features import WARMUP, hurst
from omega.analytics.forecast.regimes import fit_regimes
from omega.engine.account import RiskLevel
from omega.engine.bars import Bars
from omega.engine.market import (
    regime,
    risk_factor,
    support_resistance,
    trend,
    trend_strength,
    volatility,
    volatility_state,
)
from omega.errors import ConfigError

_WINDOW: Final = 20
_DAY_NS: Final = 86_400_000_000_000
_YEAR_DAYS: Final = 365.0
_STATES: Final = ("calm", "normal", "wild")
_FIT: Final = 5_000
_LEVELS: Final = {"LOW": RiskLevel.LOW, "MEDIUM": RiskLevel.MEDIUM}


@dataclass(frozen=True, slots=True)
class Condition:
    """How a market stands at its last close.

    Units: prices in quote currency; volatility of log returns a bar over the last 20, daily and annual by the root of
        time (365 days); strength in [-1, 1]; drawdown a fraction of the highest close of the bars given; quantile the
        share of past 20-bar volatilities below today's; probabilities of the hidden states sum to 1.

    Attributes:
        level: LOW, MEDIUM or HIGH by the daily volatility: below 2 %, below 4 %, from there on.
        hurst: None with too few bars to tell.
        states: (name, probability) of the hidden volatility states, empty with too few bars.
        support: None with fewer than 50 bars, as resistance.
    """

    price: float
    trend: str
    strength: float
    regime: str
    volatility: float
    daily_volatility: float
    annual_volatility: float
    state: str
    quantile: float
    drawdown: float
    risk_factor: float
    level: RiskLevel
    hurst: float | None
    states: tuple[tuple[str, float], ...]
    support: float | None
    resistance: float | None


def condition(bars: Bars, timeframe_ns: int) -> Condition:
    """Describe a market.

    Args:
        bars: closed bars, 21 or more.
        timeframe_ns: their length.

    Raises:
        ConfigError: there are fewer than 21 bars.
    """
    if bars.n <= _WINDOW:
        raise ConfigError(f"{bars.n} bars tell no condition; give {_WINDOW + 1} or more")
    sigma = volatility(bars.close, _WINDOW)
    daily = sigma * math.sqrt(_DAY_NS / timeframe_ns)
    direction, found = trend(bars.close, _WINDOW), support_resistance(bars)
    top = float(bars.close.max())
    return Condition(
        price=float(bars.close[-1]),
        trend=direction,
        strength=trend_strength(bars.close[-_WINDOW:]),
        regime=regime(bars.close),
        volatility=sigma,
        daily_volatility=daily,
        annual_volatility=daily * math.sqrt(_YEAR_DAYS),
        state=volatility_state(sigma),
        quantile=_quantile(bars, sigma),
        drawdown=1.0 - float(bars.close[-1]) / top,
        risk_factor=risk_factor(direction, sigma),
        level=_LEVELS.get(volatility_state(daily), RiskLevel.HIGH),
        hurst=float(hurst(np.log(bars.close))[-1]) if bars.n > WARMUP else None,
        states=_states(bars),
        support=found[0] if found else None,
        resistance=found[1] if found else None,
    )


def _quantile(bars: Bars, sigma: float) -> float:
    returns = np.diff(np.log(bars.close))
    windows = np.lib.stride_tricks.sliding_window_view(returns, _WINDOW)
    return float((windows.std(axis=1) < sigma).mean())


def _states(bars: Bars) -> tuple[tuple[str, float], ...]:
    returns = np.diff(np.log(bars.close[-_FIT - 1 :]))
    try:
        model = fit_regimes(returns, len(_STATES))
    except ConfigError:  # too few bars, or a market that does not move: there is nothing to tell apart
        return ()
    return tuple(zip(_STATES, model.filtered(returns)[-1].tolist(), strict=True))
