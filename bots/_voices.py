"""The six voices of the council: what each sees in the same bars, and how sure it is of which side.

Every voice is a pure function of what a bar has seen, mirrored for long and short. Called by bots.council.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine import F64, I64, Bars, Flags
from omega.engine.fibonacci import RETRACEMENTS, rolling
from omega.engine.influence import time_influence
from omega.engine.regime import summed

_BASE: Final = 0.3
"""What a voice with a list of signals begins with, so that none enters without at least one of them."""
_HOUR_NS: Final = 3_600_000_000_000
_DAY_NS: Final = 24 * _HOUR_NS
_THURSDAY: Final = 3  # 1970-01-01 was one
_A_DAY: Final = 3
"""Entries that the newbie wants in a day, at most."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One seat of the council.

    Units: traps in [0, 1], how well it knows a trap; size in % of the equity, stop and target in % of the price;
        enters is the confidence from which it says ENTER. Sizes are shown and not traded: the farm sizes by the risk
        at the stop.
    Source: the domain's table of the trader council.
    """

    name: str
    traps: float
    size: float
    stop: float
    target: float
    horizon: str
    enters: float = 0.5


VOICES: Final = (
    Voice("strategic", 0.8, 5.0, 1.5, 3.0, "hours to days"),
    Voice("aggressive", 0.4, 10.0, 3.0, 6.0, "minutes to hours"),
    Voice("newbie", 0.2, 5.0, 5.0, 10.0, "minutes"),
    Voice("contrarian", 0.7, 7.0, 4.0, 8.0, "hours"),
    Voice("patient", 0.9, 5.0, 2.0, 6.0, "days", enters=0.6),
    Voice("cosmic", 0.5, 6.0, 3.0, 8.0, "by the hour"),
)

PROFIT_EXITS: Final = {"strategic": (8.0, 0.75), "aggressive": (5.0, 0.8), "newbie": (2.0, 0.85), "scalper": (1.0, 0.9)}
"""The profit in % of the price from which a voice wants out, and how sure it is."""
LOSS_EXITS: Final = {
    "strategic": (5.0, 0.85),
    "aggressive": (10.0, 0.75),
    "newbie": (15.0, 0.6),
    "scalper": (0.5, 0.95),
}
"""The loss in % of the price from which a voice wants out; the newbie's doubt at 2 % (.4) stays below a vote."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What every voice looks at.

    Shapes: every array is (n,); a row knows the bars of its own last day alone, and nothing is known before `ready`.
    Units: prices in quote currency; move and range of the day as fractions; place in the day's range from 0 (low) to 1;
        volume as a multiple of the usual one.
    """

    bars: Bars
    ready: Flags
    high: F64
    low: F64
    move: F64
    span: F64
    place: F64
    quarter_high: F64
    quarter_low: F64
    tested_high: F64
    tested_low: F64
    straight: F64
    momentum: F64
    volume: F64
    day: int


def view(bars: Bars, day: int) -> View:
    """Look at the bars: the last day, its quarter (6 h) and its 24th part (an hour)."""
    quarter, hour, n, close = max(day // 4, 2), max(day // 24, 2), bars.n, bars.close
    high, low = _past(np.maximum, bars.high, day), _past(np.minimum, bars.low, day)
    q_high, q_low = _past(np.maximum, bars.high, quarter), _past(np.minimum, bars.low, quarter)
    h_high, h_low = _past(np.maximum, bars.high, hour), _past(np.minimum, bars.low, hour)
    usual = _whole(summed(bars.volume, quarter), n) / quarter
    return View(
        bars=bars,
        ready=np.arange(n) >= day + hour,
        high=high,
        low=low,
        move=close / _before(close, day) - 1.0,
        span=(high - low) / low,
        place=_part(close - low, high - low, 0.5),
        quarter_high=q_high,
        quarter_low=q_low,
        tested_high=_before(high, hour),
        tested_low=_before(low, hour),
        straight=_part(close - _before(close, quarter), q_high - q_low, 0.0),
        momentum=_part(close - h_low, h_high - h_low, 0.5),
        volume=_part(bars.volume, usual, 1.0),
        day=day,
    )


def strategic(seen: View) -> tuple[F64, F64]:
    """Return (side, confidence): buys the lower half of the day's range at a level, sells the upper one.

    Source: level within .5 % +.2, a 24 h move above 2 % +.15, an extreme within 1 % +.2, confluence +.1, with the
        extreme +.15; against the move of the day x .8.
    """
    side = np.where(seen.place < 0.5, 1.0, -1.0)  # noqa: PLR2004 - the middle
    close = seen.bars.close
    level = _near_level(close, seen.high, seen.low, 0.005)
    both = level & _near_level(close, seen.quarter_high, seen.quarter_low, 0.005)
    extreme = (close - seen.low <= 0.01 * close) | (seen.high - close <= 0.01 * close)
    trust = _BASE + 0.2 * level + 0.15 * (np.abs(seen.move) > 0.02) + 0.2 * extreme  # noqa: PLR2004 - see Source
    trust = trust + np.where(both & extreme, 0.15, 0.1 * both)
    return side, np.where(side * seen.move < 0.0, 0.8 * trust, trust)


def aggressive(seen: View) -> tuple[F64, F64]:
    """Return (side, confidence): goes with the hour when momentum is above .7 and volume above 1.5 times the usual."""
    return _with_the_crowd(seen.momentum - 0.5, 0.2, seen.volume > 1.5)  # noqa: PLR2004 - the docstring says it


def newbie(seen: View) -> tuple[F64, F64]:
    """Return (side, confidence): joins a trend above .7 on 1.3 times the volume, the first three of a day (UTC)."""
    side, trust = _with_the_crowd(0.5 * seen.straight, 0.35, seen.volume > 1.3)  # noqa: PLR2004 - the docstring
    # Not only where the council is ready: the count of a day must not depend on where the bars begin.
    wants = trust >= 0.5  # noqa: PLR2004 - its vote
    begun: I64 = np.cumsum(wants & ~_flag_before(wants), dtype=np.int64)
    today = begun - np.maximum(_at_midnight(begun, seen.bars.ts), _shifted(begun, seen.day))
    return side, np.where(today <= _A_DAY, trust, 0.0)


def contrarian(seen: View) -> tuple[F64, F64]:
    """Return (side, confidence): fades a day's move above 8 % (+.3) and the outer fifths of its range (+.25)."""
    hot, edge = np.abs(seen.move) > 0.08, np.abs(seen.place - 0.5) >= 0.3  # noqa: PLR2004 - the docstring says it
    side = np.where(hot, -np.sign(seen.move), np.where(seen.place < 0.5, 1.0, -1.0))  # noqa: PLR2004 - the middle
    agrees = edge & (side == np.where(seen.place < 0.5, 1.0, -1.0))  # noqa: PLR2004 - the middle
    return side, _BASE + 0.3 * hot + 0.25 * agrees


def patient(seen: View) -> tuple[F64, F64]:
    """Return (side, confidence): waits for a level or a tested extreme at arm's length in a narrow range.

    Source: a level within .2 % +.3, the retest of an extreme that is an hour old within .2 % +.25, a range below 2 %
        +.2.
    """
    side, close = np.where(seen.place < 0.5, 1.0, -1.0), seen.bars.close  # noqa: PLR2004 - the middle
    level = _near_level(close, seen.high, seen.low, 0.002)
    tested = np.where(side > 0.0, seen.tested_low, seen.tested_high)
    retest = np.abs(close - tested) <= 0.002 * close
    return side, _BASE + 0.3 * level + 0.25 * retest + 0.2 * (seen.span < 0.02)  # noqa: PLR2004 - see Source


def cosmic(seen: View, longitude: float) -> tuple[F64, F64]:
    """Return (side, confidence): goes with the day when weekday and hour of the place are good ones.

    A strategy sees bars alone, so moon and mercury are none of its business: of those the voice abstains, and their
    readings act in the cosmic stage.

    Units: longitude in degrees, east positive; the instant is the bar's opening.
    """
    local = seen.bars.ts + round(longitude / 15.0 * 3600.0) * 1_000_000_000
    weekday, hour = (local // _DAY_NS + _THURSDAY) % 7, local % _DAY_NS // _HOUR_NS
    return np.sign(seen.move), 0.4 + _HOURS[weekday, hour]


_HOURS: Final = np.array([[time_influence(day, hour) for hour in range(24)] for day in range(7)])


def _with_the_crowd(push: F64, edge: float, loud: Flags) -> tuple[F64, F64]:
    """Return the side of a push in [-.5, .5] and how far beyond the edge it lies: .5 at the edge, 1 at the most."""
    strong = (np.abs(push) > edge) & loud
    return np.sign(push), np.where(strong, 0.5 + 0.5 * np.minimum((np.abs(push) - edge) / (0.5 - edge), 1.0), 0.0)


def _near_level(close: F64, high: F64, low: F64, within: float) -> Flags:
    """Tell where a close lies near a retracement of a range; a range of nothing has no levels."""
    found = np.zeros(close.shape[0], np.bool_)
    for ratio in RETRACEMENTS:
        found |= np.abs(high - (high - low) * ratio - close) <= within * close
    return found & (high > low)


def _past(pick: np.ufunc, values: F64, length: int) -> F64:
    """Return the extreme of the last `length` values, this one included; nothing (NaN) where there are not so many."""
    return _whole(rolling(pick, values, length), values.shape[0])


def _whole(part: F64, n: int) -> F64:
    return np.concatenate((np.full(n - part.shape[0], np.nan), part))


def _before(values: F64, rows: int) -> F64:
    made = np.full(values.shape[0], np.nan)
    made[rows:] = values[:-rows]
    return made


def _at_midnight(counted: I64, ts: I64) -> I64:
    """Return what had been counted before the first bar of each bar's day, UTC."""
    days = ts // _DAY_NS
    first = np.searchsorted(days, days)
    made: I64 = np.where(first > 0, counted[np.maximum(first - 1, 0)], 0)
    return made


def _shifted(counted: I64, rows: int) -> I64:
    made = np.zeros_like(counted)
    made[rows:] = counted[:-rows]
    return made


def _flag_before(flags: Flags) -> Flags:
    made = np.zeros_like(flags)
    made[1:] = flags[:-1]
    return made


def _part(amount: F64, whole: F64, empty: float) -> F64:
    made: F64 = np.divide(amount, whole, out=np.full(amount.shape[0], empty), where=whole > 0.0)
    return made
