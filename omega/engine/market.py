"""What state a market is in, by plain rules on closes: trend, volatility, regime, support and resistance, risk factor.

Called by the trading analyzer and by the analyses of a market. A rule that lacks bars says so instead of guessing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from omega.engine.bars import F64, Bars

UP: Final = "up"
DOWN: Final = "down"
SIDEWAYS: Final = "sideways"

SUPPORT_BARS: Final = 50
_SHORT: Final = 10
_LONG: Final = 30
_STATES: Final = ((0.02, "LOW"), (0.04, "MEDIUM"), (0.08, "HIGH"))
_VOLATILE: Final = 0.02
_VOLATILE_NEUTRAL: Final = 0.015


def trend(closes: F64, window: int, edge: float = 0.01) -> str:
    """Return up, down or sideways; sideways with fewer closes than the window.

    Units: closes in quote currency, edge a fraction of the average and of the way gone.
    Source: up when the last close is an edge above its mean and has risen by more than the edge over the window.
    """
    if closes.shape[0] < window:
        return SIDEWAYS
    recent = closes[-window:]
    last, mean, change = float(recent[-1]), float(recent.mean()), float(recent[-1] / recent[0] - 1.0)
    if last > (1.0 + edge) * mean and change > edge:
        return UP
    if last < (1.0 - edge) * mean and change < -edge:
        return DOWN
    return SIDEWAYS


def volatility(closes: F64, window: int) -> float:
    """Return the standard deviation of the last log returns, per bar; 0.0 with fewer than two returns."""
    returns = np.diff(np.log(closes[-(window + 1) :]))
    return float(returns.std()) if returns.shape[0] > 1 else 0.0


def volatility_state(sigma: float) -> str:
    """Return LOW below 2 %, MEDIUM below 4 %, HIGH below 8 %, EXTREME from there on."""
    return next((name for bound, name in _STATES if sigma < bound), "EXTREME")


def trend_strength(closes: F64) -> float:
    """Return the regression slope over the largest single change, in [-1, 1]; 0.0 when nothing moved."""
    if closes.shape[0] < 2:  # noqa: PLR2004 - a slope needs two points
        return 0.0
    rows = np.arange(closes.shape[0], dtype=np.float64)
    off = rows - rows.mean()
    slope = float((off * (closes - closes.mean())).sum() / (off * off).sum())
    largest = float(np.abs(np.diff(closes)).max())
    return max(-1.0, min(1.0, slope / largest)) if largest > 0.0 else 0.0


def regime(closes: F64, edge: float = 0.01) -> str:
    """Return the regime from the trends over 10 and 30 closes and the spread of the last 20; not_ready below 30.

    Source: both trends up is bullish, both down bearish, the short one against the long one a correction or a bounce.
    """
    if closes.shape[0] < _LONG:
        return "not_ready"
    short, long = trend(closes, _SHORT, edge), trend(closes, _LONG, edge)
    spread = float(closes[-20:].std() / closes[-_LONG:].mean())
    if short == long != SIDEWAYS:
        word = "bullish" if long == UP else "bearish"
        return f"{word}_volatile" if spread > _VOLATILE else word
    if (long, short) == (UP, DOWN):
        return "bullish_correction"
    if (long, short) == (DOWN, UP):
        return "bearish_bounce"
    return "neutral_volatile" if spread > _VOLATILE_NEUTRAL else "neutral"


def support_resistance(bars: Bars) -> tuple[float, float] | None:
    """Return the lowest low and the highest high of the last 50 bars, None with fewer."""
    if bars.n < SUPPORT_BARS:
        return None
    return float(bars.low[-SUPPORT_BARS:].min()), float(bars.high[-SUPPORT_BARS:].max())


def risk_factor(direction: str, sigma: float) -> float:
    """Return .5, +.1 in an up trend, -.1 in a down trend, -.1 above 2 % volatility, within .1 to .9."""
    made = 0.5 + {UP: 0.1, DOWN: -0.1}.get(direction, 0.0) - (0.1 if sigma > _VOLATILE else 0.0)
    return max(0.1, min(0.9, made))
