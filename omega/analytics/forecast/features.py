"""What a forecast may look at: one row a bar, made of that bar and earlier ones alone; and what it must tell.

Called by the models and by the walk-forward; a test cuts the future off and finds every row unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import talib

from omega.engine.bars import F64, I64, Bars, Flags
from omega.engine.fibonacci import rolling
from omega.errors import ConfigError

WARMUP: Final = 272
"""Rows at the head of a history that no model sees: the longest window, 256 returns over 16 bars, is not full there."""

_RETURNS: Final = (1, 2, 4, 8, 24, 72, 168)
_HURST_LAGS: Final = (1, 2, 4, 8, 16)
_HURST_BARS: Final = 256
_SLOPE_BARS: Final = 48
_HOUR_NS: Final = 3_600_000_000_000
_DAY_HOURS: Final = 24
_WEEK_DAYS: Final = 7


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The features of a history.

    Shapes: values is (n, k), aligned with bars and names; ts, log_returns are (n,). Rows before WARMUP hold zeros.
    Units: scaled by volatility or true range where they are moves; ts in ns UTC; log returns a bar.
    """

    names: tuple[str, ...]
    values: F64
    ts: I64
    log_returns: F64

    def column(self, name: str) -> F64:
        """Return one feature, (n,)."""
        return self.values[:, self.names.index(name)]


def design(bars: Bars) -> Design:
    """Make the features of every bar.

    Raises:
        ConfigError: the history is not longer than the warm-up.
    """
    if bars.n <= WARMUP:
        raise ConfigError(f"{bars.n} bars are no history to forecast from; give more than {WARMUP}")
    log_close = np.log(bars.close)
    log_returns = np.diff(log_close, prepend=log_close[:1])
    sigma = np.sqrt(rolling_mean(log_returns**2, 24))
    slow = np.sqrt(rolling_mean(log_returns**2, 168))
    scale = np.maximum(slow, 1e-12)
    columns = {f"return_{lag}": _lagged(log_close, lag) / (scale * np.sqrt(lag)) for lag in _RETURNS}
    columns |= {"volatility": np.log(scale), "volatility_ratio": sigma / scale}
    columns |= _indicators(bars) | _position(bars) | _clock(bars.ts)
    columns["slope_t"] = slope_t(log_close, _SLOPE_BARS)
    columns["hurst"] = hurst(log_close)
    values = np.nan_to_num(np.column_stack(list(columns.values())), nan=0.0, posinf=0.0, neginf=0.0)
    values[:WARMUP] = 0.0
    return Design(tuple(columns), values, bars.ts, log_returns)


def outcomes(bars: Bars, horizon: int, timeframe_ns: int) -> tuple[F64, Flags]:
    """Return (1.0 where the close `horizon` bars on is higher, else 0.0; where that is known).

    An outcome that reaches over a gap in the record, beyond its end, or to the very same close is not known.

    Shapes: both (n,), aligned with bars. Units: horizon in bars.
    """
    if horizon < 1:
        raise ConfigError(f"a horizon of {horizon} bars forecasts nothing; give one or more")
    up, known = np.zeros(bars.n), np.zeros(bars.n, dtype=np.bool_)
    if bars.n > horizon:
        later, now = bars.close[horizon:], bars.close[:-horizon]
        up[:-horizon] = later > now
        unbroken = bars.ts[horizon:] - bars.ts[:-horizon] == horizon * timeframe_ns
        known[:-horizon] = unbroken & (later != now)
    return up, known


def rolling_mean(values: F64, length: int) -> F64:
    """Return the mean of the last `length` values; over fewer at the head.

    Shapes: (n,). Each window is summed on its own, so an early outlier leaves no rounding behind.
    """
    n, width = len(values), min(length, len(values))
    out = np.empty(n)
    out[: width - 1] = np.cumsum(values[: width - 1]) / np.arange(1, width)
    out[width - 1 :] = np.lib.stride_tricks.sliding_window_view(values, width).mean(axis=1)
    return out


def hurst(log_close: F64) -> F64:
    """Return the rolling Hurst exponent: the slope of log spread of returns over log lag, lags 1 to 16, 256 bars.

    0.5 for a random walk, above it for moves that persist, below it for moves that revert.

    Shapes: (n,). Source: Di Matteo (2007), Multi-scaling in finance, Quantitative Finance 7(1), q = 2.
    """
    spreads = [0.5 * np.log(rolling_mean(_lagged(log_close, lag) ** 2, _HURST_BARS) + 1e-30) for lag in _HURST_LAGS]
    x = np.log(np.array(_HURST_LAGS, dtype=np.float64))
    x -= x.mean()
    made: F64 = sum((w * s for w, s in zip(x, spreads, strict=True)), np.zeros_like(log_close)) / float(x @ x)
    return made


def slope_t(log_close: F64, length: int) -> F64:
    """Return the t-value of the regression slope of the last `length` log closes over time; 0.0 at the head.

    Shapes: (n,). Source: ordinary least squares; the t-value is b / se(b) with n - 2 degrees of freedom.
    """
    out = np.zeros_like(log_close)
    if len(log_close) < length:
        return out
    x = np.arange(length, dtype=np.float64)
    x -= x.mean()
    windows = np.lib.stride_tricks.sliding_window_view(log_close, length)
    off = windows - windows.mean(axis=1, keepdims=True)
    b = off @ x / float(x @ x)
    rest = np.maximum((off * off).sum(axis=1) - b * b * float(x @ x), 1e-30)
    out[length - 1 :] = b / np.sqrt(rest / (length - 2) / float(x @ x))
    return out


def _lagged(log_close: F64, lag: int) -> F64:
    out = np.zeros_like(log_close)
    out[lag:] = log_close[lag:] - log_close[:-lag]
    return out


def _indicators(bars: Bars) -> dict[str, F64]:
    true_range = np.maximum(talib.ATR(bars.high, bars.low, bars.close, 14), 1e-12)
    fast, middle, slow = (talib.EMA(bars.close, length) for length in (12, 26, 100))
    rising = np.zeros(bars.n)
    rising[4:] = middle[4:] - middle[:-4]
    return {
        "rsi": talib.RSI(bars.close, 14) / 100.0 - 0.5,
        "adx": talib.ADX(bars.high, bars.low, bars.close, 14) / 100.0,
        "direction": (
            talib.PLUS_DI(bars.high, bars.low, bars.close, 14) - talib.MINUS_DI(bars.high, bars.low, bars.close, 14)
        )
        / 100.0,
        "ema_slope": rising / true_range,
        "macd": (fast - middle) / true_range,
        "ema_distance": (bars.close - slow) / true_range,
    }


def _position(bars: Bars) -> dict[str, F64]:
    made: dict[str, F64] = {}
    for length in (20, 100):
        place = np.zeros(bars.n)
        high, low = rolling(np.maximum, bars.high, length), rolling(np.minimum, bars.low, length)
        place[length - 1 :] = (bars.close[length - 1 :] - low) / np.maximum(high - low, 1e-12) - 0.5
        made[f"place_{length}"] = place
    spread = np.maximum(bars.high - bars.low, 1e-12)
    made["body"] = (bars.close - bars.open) / spread
    made["upper_shadow"] = (bars.high - np.maximum(bars.open, bars.close)) / spread
    usual = rolling_mean(np.log1p(bars.volume), 168)
    made["volume"] = np.log1p(bars.volume) - usual
    return made


def _clock(ts: I64) -> dict[str, F64]:
    hours = ts // _HOUR_NS
    of_day = 2.0 * np.pi * (hours % _DAY_HOURS) / _DAY_HOURS
    of_week = 2.0 * np.pi * (hours // _DAY_HOURS % _WEEK_DAYS) / _WEEK_DAYS
    return {
        "hour_sin": np.sin(of_day),
        "hour_cos": np.cos(of_day),
        "weekday_sin": np.sin(of_week),
        "weekday_cos": np.cos(of_week),
    }
