"""The trader council: six voices look at the same market, and it enters where enough of them agree on a side.

Entry and exit by vote, with weights, a quorum and a rule for ties. Run by omega.engine, once a bar. None of the voices
is proven; what they are worth is a question for `omega experiment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bots._voices import (
    LOSS_EXITS,
    PROFIT_EXITS,
    VOICES,
    aggressive,
    contrarian,
    cosmic,
    newbie,
    patient,
    strategic,
    view,
)
from omega.engine import F64, I8, AccountBook, Bars, Book, Flags, Signals
from omega.plugins import param, params, strategy

_SURE: Final = 0.5
"""Confidence from which a voice's wish to leave is a vote."""
_NAMES: Final = tuple([voice.name for voice in VOICES])


@params
class Params:
    """Who is heard how much, how many must agree, and what a day is."""

    strategic: float = param(1.0, low=0.0, high=1.0, doc="weight of the strategic voice; 0 silences it")
    aggressive: float = param(1.0, low=0.0, high=1.0, doc="weight of the aggressive voice")
    newbie: float = param(1.0, low=0.0, high=1.0, doc="weight of the newbie")
    contrarian: float = param(1.0, low=0.0, high=1.0, doc="weight of the contrarian voice, in entries")
    patient: float = param(1.0, low=0.0, high=1.0, doc="weight of the patient voice, in entries")
    cosmic: float = param(1.0, low=0.0, high=1.0, doc="weight of the cosmic voice (weekday and hour), in entries")
    scalper: float = param(1.0, low=0.0, high=1.0, doc="weight of the scalper, in exits")
    quorum: float = param(2.0, low=0.5, high=6.0, unit="votes", doc="weight of votes that one side needs to enter")
    exit_quorum: float = param(2.0, low=0.5, high=4.0, unit="votes", doc="weight of votes that takes a position out")
    day: int = param(1440, low=24, high=1440, unit="bars", reload="restart", doc="24 h: 1440 of 1m, 96 of 15m")
    longitude: float = param(-74.0, low=-180.0, high=180.0, unit="degrees", doc="whose hours the cosmic voice goes by")
    time_limit: int = param(2880, low=0, high=100_000, unit="bars", doc="longest holding time; 0 for none")

    def weight(self, name: str) -> float:
        """Return the weight of a voice."""
        return float(getattr(self, name))


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """How the council has voted.

    Shapes: sides and trust are (6, n) by the order of VOICES, a side of 0 waits; verdict is (n,).
    """

    sides: F64
    trust: F64
    verdict: I8


def need(p: Params) -> int:
    """Return the bars after which nothing older is felt: a day, the newbie's day of entries, the quarter behind it."""
    return p.day + max(p.day // 4, 2) + max(p.day // 24, 2) + 3


def votes(bars: Bars, p: Params) -> Votes:
    """Ask every voice about every bar, and count."""
    seen = view(bars, p.day)
    said = [strategic(seen), aggressive(seen), newbie(seen), contrarian(seen), patient(seen), cosmic(seen, p.longitude)]
    trust = np.clip(np.array([np.where(seen.ready, one, 0.0) for _, one in said]), 0.0, 1.0)
    return count(np.nan_to_num(np.array([side for side, _ in said])), trust, p)


def count(sides: F64, trust: F64, p: Params) -> Votes:
    """Count what the voices say: each that is sure enough votes for its side, the others wait.

    A side enters when the weight of its votes reaches the quorum; of two such sides the heavier one, on equal weight
    the one whose votes are surer on the average, and neither when that is equal too.

    Shapes: sides and trust are (6, n) by the order of VOICES.
    Source: the domain's trader council; an agreement is one on a side, so a tie is one of two sides that both agree.
    """
    enters = np.array([[voice.enters] for voice in VOICES])
    heard = np.array([[p.weight(name) > 0.0] for name in _NAMES])
    cast = np.where(heard & (trust >= enters), sides, 0.0)
    long_, short = _tally(cast == 1.0, trust, p), _tally(cast == -1.0, trust, p)
    up, down = _wins(long_, short, p.quorum), _wins(short, long_, p.quorum)
    return Votes(cast, trust, up.astype(np.int8) - down.astype(np.int8))


def report(bars: Bars, book: AccountBook | Book, p: Params) -> dict[str, float | str]:  # noqa: ARG001 - same for all
    """Tell how every voice has voted on the newest bar: side, confidence, horizon, trap awareness, stop and target."""
    made = votes(bars.since(max(bars.n - need(p) - 1, 0)), p)
    told: dict[str, float | str] = {"kind": "votes", "verdict": _word(float(made.verdict[-1]))}
    for voice, side, trust in zip(VOICES, made.sides[:, -1].tolist(), made.trust[:, -1].tolist(), strict=True):
        told[voice.name] = (
            f"{_word(side)} {trust:.2f}, {voice.horizon}, traps {voice.traps:g}, size {voice.size:g} %, "
            f"stop {voice.stop:g} %, target {voice.target:g} %"
        )
    return told


def exit_level(levels: Mapping[str, tuple[float, float]], p: Params) -> float:
    """Return the profit (or loss) in % of the price at which enough voices want out; 0.0 when they never do."""
    heard = 0.0
    for name, (percent, trust) in sorted(levels.items(), key=lambda item: item[1][0]):
        heard += p.weight(name) if trust >= _SURE else 0.0
        if heard >= p.exit_quorum:
            return percent
    return 0.0


_REASONS: Final = (
    "nobody",
    *["+".join(name for bit, name in enumerate(_NAMES) if mask >> bit & 1) for mask in range(1, 1 << len(_NAMES))],
)
"""Who voted for the side that was taken, by the bits of the code."""


@strategy("council", params=Params, warmup=need, reasons=_REASONS, report=report)
def signals(bars: Bars, p: Params) -> Signals:
    """Enter where a verdict is new; stop and target are the mean of the side's voices, bound by the vote to leave.

    Exits by vote depend on the position's profit alone, so they are prices that are known at the entry: the nearest of
    the votes' level and the voices' own mean is the barrier, and it stands at the venue.

    Shapes: every array is (n,), aligned with bars; row k reads rows 0..k alone.
    Units: distances in quote currency per unit; the confidence is the mean of the winning votes, by weight.
    """
    made = votes(bars, p)
    fresh = (made.verdict != 0) & (made.verdict != _before(made.verdict))
    won = (made.sides == made.verdict) & fresh
    stop = _bounded(_mean(won, np.array([voice.stop for voice in VOICES]), p), exit_level(LOSS_EXITS, p))
    target = _bounded(_mean(won, np.array([voice.target for voice in VOICES]), p), exit_level(PROFIT_EXITS, p))
    _, trust = _tally(won, made.trust, p)
    bits = (1 << np.arange(len(VOICES)))[:, None]
    return Signals.of(
        side=np.where(fresh, made.verdict, 0),
        stop_distance=stop / 100.0 * bars.close,
        targets=(target / 100.0 * bars.close,),
        confidence=np.minimum(trust, 1.0),
        reason=(won * bits).sum(axis=0).astype(np.int16),
    )


def _tally(cast: Flags, trust: F64, p: Params) -> tuple[F64, F64]:
    """Return the weight of some votes, and their mean confidence by weight; added up in one order, voice by voice."""
    total, sure = np.zeros(cast.shape[1]), np.zeros(cast.shape[1])
    for row, name in enumerate(_NAMES):
        total = total + p.weight(name) * cast[row]
        sure = sure + p.weight(name) * (cast[row] * trust[row])
    return total, np.divide(sure, total, out=np.zeros_like(total), where=total > 0.0)


def _wins(one: tuple[F64, F64], other: tuple[F64, F64], quorum: float) -> Flags:
    agreed, against = one[0] >= quorum, other[0] >= quorum
    tie = (one[0] == other[0]) & (one[1] > other[1])
    made: Flags = agreed & (~against | (one[0] > other[0]) | tie)
    return made


def _mean(cast: Flags, figures: F64, p: Params) -> F64:
    """Return the mean of a figure over some votes, by weight; 0.0 where nobody has voted."""
    return _tally(cast, np.broadcast_to(figures[:, None], cast.shape), p)[1]


def _bounded(mean: F64, level: float) -> F64:
    return np.minimum(mean, level) if level > 0.0 else mean


def _before(verdict: I8) -> I8:
    made = np.zeros_like(verdict)
    made[1:] = verdict[:-1]
    return made


def _word(side: float) -> str:
    return "long" if side > 0.0 else "short" if side < 0.0 else "wait"
