"""Trading analyzer: reads the market and says what state it is in. Never trades. Run by the runner, once a bar.

Trend, volatility, regime, support and resistance, risk factor; a rule that lacks bars says so instead of guessing.
"""

from __future__ import annotations

from omega.engine import AccountBook, Bars, Book, Signals
from omega.engine.market import (
    SUPPORT_BARS,
    regime,
    risk_factor,
    support_resistance,
    trend,
    trend_strength,
    volatility,
    volatility_state,
)
from omega.plugins import param, params, strategy


@params
class Params:
    """Windows and edges of the rules."""

    window: int = param(20, low=5, high=500, unit="bars", reload="restart", doc="bars of trend and volatility")
    edge: float = param(0.01, low=0.0001, high=0.2, unit="fraction", doc="how far a trend must lie and have gone")


def report(bars: Bars, book: AccountBook | Book, p: Params) -> dict[str, float | str]:  # noqa: ARG001 - same for all
    """Describe the market of the bars: direction, strength, volatility with its period, regime, levels, risk factor.

    Units: prices in quote currency, volatility per bar as a fraction, strength in [-1, 1].
    """
    closes = bars.close
    direction, sigma = trend(closes, p.window, p.edge), volatility(closes, p.window)
    made: dict[str, float | str] = {
        "kind": "informational",
        "price": float(closes[-1]),
        "trend": direction,
        "trend_strength": trend_strength(closes[-p.window :]),
        "confidence": min(bars.n / p.window, 1.0),
        "volatility": sigma,
        "volatility_period": f"per bar over {min(p.window, bars.n - 1)} bars",
        "volatility_state": volatility_state(sigma),
        "regime": regime(closes, p.edge),
        "risk_factor": risk_factor(direction, sigma),
    }
    found = support_resistance(bars)
    if found is None:
        made["support"] = f"not ready: {bars.n} of {SUPPORT_BARS} bars"
        return made
    return made | {"support": found[0], "resistance": found[1]}


@strategy(
    "trading_analyzer",
    params=Params,
    warmup=lambda p: max(p.window + 1, SUPPORT_BARS),
    reasons=("read_only",),
    read_only=True,
    report=report,
)
def signals(bars: Bars, p: Params) -> Signals:  # noqa: ARG001 - every strategy takes its parameters
    """Ask for nothing: this bot reads only."""
    return Signals.none(bars.n)
