"""How far limits of exposure shrink with volatility and drawdown: a share in (0, 1], never above. Pure.

Sources: A. Moreira, T. Muir, "Volatility-Managed Portfolios", Journal of Finance 72 (2017), exposure in proportion to
1 / volatility; J.P. Morgan/Reuters, "RiskMetrics Technical Document" (1996), the moving variance; S. Grossman,
Z. Zhou, "Optimal Investment Strategies for Controlling Drawdowns", Mathematical Finance 3 (1993), exposure in
proportion to the cushion that is left above the deepest drawdown allowed.
"""

from __future__ import annotations

import math
from collections import deque
from decimal import Decimal
from typing import Final

from omega.config import Dynamic

DAY_S: Final = 86_400
_STEADY: Final = 30
"""Returns that a variance wants before it is believed."""
_LEAST_VARIANCE: Final = 1e-30


class Returns:
    """Log returns of one symbol: the last ones, and their exponentially weighted variance about zero."""

    def __init__(self, *, keep: int, decay: float) -> None:
        self.values: deque[tuple[int, float]] = deque(maxlen=keep)
        """(open time of the bar, log return)"""
        self._decay = decay
        self._variance = 0.0
        self._seen = 0
        self._close = 0.0

    def hear(self, ts_ns: int, close: float) -> None:
        """Take the close of the next bar."""
        before, self._close = self._close, close
        if before <= 0 or close <= 0:
            return
        value = math.log(close / before)
        self.values.append((ts_ns, value))
        self._seen += 1
        weight = max(1.0 - self._decay, 1.0 / self._seen)  # until the weights have settled, the plain mean
        self._variance += weight * (value * value - self._variance)

    def daily_pct(self, bar_s: float) -> float:
        """Return the volatility in % a day, 0.0 while too little is known."""
        if self._seen < _STEADY or self._variance < _LEAST_VARIANCE:
            return 0.0
        return 100.0 * math.sqrt(self._variance * DAY_S / bar_s)


def volatility_share(settings: Dynamic, volatility_pct: float) -> Decimal:
    """Return clamp(target / volatility, floor, 1); 1 while the volatility is unknown or this is off."""
    target = settings.volatility_target_pct
    if target is None or volatility_pct <= 0.0:
        return Decimal(1)
    return _clamp(float(target) / volatility_pct, settings.floor)


def drawdown_share(settings: Dynamic, drawdown_pct: Decimal) -> Decimal:
    """Return clamp(1 - drawdown / most, floor, 1), the cushion that is left; 1 while this is off."""
    most = settings.drawdown_max_pct
    if most is None or drawdown_pct <= 0:
        return Decimal(1)
    return _clamp(1.0 - float(drawdown_pct / most), settings.floor)


def _clamp(share: float, floor: float) -> Decimal:
    return Decimal(repr(round(min(max(share, floor), 1.0), 6)))


def correlation(one: Returns, other: Returns, *, least: int = _STEADY) -> float:
    """Return Pearson's correlation of the returns of the bars that both have, 0.0 below `least` of them."""
    theirs = dict(other.values)
    pairs = [(value, theirs[ts]) for ts, value in one.values if ts in theirs]
    count = len(pairs)
    if count < least:
        return 0.0
    mean_a, mean_b = sum(a for a, _ in pairs) / count, sum(b for _, b in pairs) / count
    aa = sum((a - mean_a) ** 2 for a, _ in pairs)
    bb = sum((b - mean_b) ** 2 for _, b in pairs)
    ab = sum((a - mean_a) * (b - mean_b) for a, b in pairs)
    return ab / math.sqrt(aa * bb) if aa > 0 and bb > 0 else 0.0
