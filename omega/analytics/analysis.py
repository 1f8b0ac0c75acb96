"""What an analysis says: findings with their measured evidence, numbers with units, ages of inputs, caveats, pictures.

Made by the analyses, drawn by `omega.analytics.charts`, written as JSON by `as_json`. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, Final

from omega.analytics.evidence import Evidence
from omega.domain.time import iso


class Tone(StrEnum):
    """How something is coloured; a word beside it always says the same."""

    UP = "up"
    DOWN = "down"
    STRONG = "strong"
    SOFT = "soft"


class MarkKind(StrEnum):
    """What a mark on the price chart is."""

    LINE = "line"
    """A line through points."""
    LEVEL = "level"
    """A price from an instant on; one point."""
    ZONE = "zone"
    """A box between two corners; a second instant of 0 reaches to the newest bar."""
    POINT = "point"
    """One place, with a word."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something drawn on the price chart.

    Units: points are (open time of a bar in ns UTC, price in quote currency).

    Attributes:
        keep: drawn however far it lies from the prices shown; other marks would flatten the candles and are left out.
    """

    kind: MarkKind
    points: tuple[tuple[int, float], ...]
    label: str = ""
    tone: Tone = Tone.SOFT
    keep: bool = False


class PanelKind(StrEnum):
    """What a picture under the price chart is."""

    CURVE = "curve"
    """Lines over time: x is ns UTC."""
    PLOT = "plot"
    """Points joined over any x, with the diagonal where `diagonal` is set."""
    BARS = "bars"
    """One bar a word of `names`."""
    HISTOGRAM = "histogram"
    """Counts y between edges x; one edge more than counts."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one row of bars, in a panel; `low` and `high` are the ends of an interval around each y."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    tone: Tone = Tone.STRONG
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture under the price chart.

    Attributes:
        names: the words under bars.
        rules: (x or, in a curve and in bars, y; word) of reference lines.
        diagonal: whether a plot shows the line of perfect agreement.
    """

    kind: PanelKind
    title: str
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""
    names: tuple[str, ...] = ()
    rules: tuple[tuple[float, str], ...] = ()
    diagonal: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """One figure; `value` is None where it is not defined (no trade, no loss, too few bars)."""

    name: str
    value: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        name: what, in the field's word.
        direction: `long`, `short`, or empty where it has none.
        at_ns: open time of the bar whose close made it knowable.
        text: one sentence for people.
        evidence: what such findings were worth on recorded data; None where nothing was measured.
        marks: how it is drawn.
    """

    name: str
    at_ns: int
    text: str
    direction: str = ""
    numbers: tuple[Number, ...] = ()
    evidence: Evidence | None = None
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that the analysis read, and how old it was at the instant of the analysis. Units: ns UTC, s."""

    name: str
    source: str
    as_of_ns: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """The whole answer.

    Attributes:
        as_of_ns: nothing later than this instant was read.
        bars: how many bars were read.
        summary: the answer in one or two sentences.
    """

    analysis: str
    symbol: str
    timeframe: str
    as_of_ns: int
    bars: int
    summary: str
    findings: tuple[Finding, ...] = ()
    numbers: tuple[Number, ...] = ()
    inputs: tuple[Input, ...] = ()
    caveats: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    panels: tuple[Panel, ...] = ()


_DRAWN: Final = frozenset({"marks", "panels"})


def number(name: str, value: float | None, unit: str = "") -> Number:
    """Return a figure; one that is not finite is not defined."""
    finite = value is not None and math.isfinite(value)
    return Number(name, float(value) if value is not None and finite else None, unit)


def as_json(value: Analysis, *, drawn: bool = False) -> dict[str, Any]:
    """Return an analysis as JSON can write it; instants also in words, numbers that are not finite as null.

    `drawn` says whether what is only drawn (marks and panels) is in it too.
    """
    made: dict[str, Any] = _plain(value, drawn)
    return {"as_of": iso(value.as_of_ns), **made}


def _plain(value: Any, drawn: bool) -> Any:  # noqa: FBT001 - a private walk
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if drawn or field.name not in _DRAWN]
        made = {name: _plain(getattr(value, name), drawn) for name in names}
        return made | ({"at": iso(value.at_ns)} if isinstance(value, Finding) else {})
    if isinstance(value, Mapping):
        return {str(name): _plain(inner, drawn) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner, drawn) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
