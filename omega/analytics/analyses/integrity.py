"""Market integrity: spoofing, layering, wash trades in a recorded order book, pumps in bars: likenesses, no proof."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from omega.analytics.analysis import (
    Analysis,
    Finding,
    Input,
    Mark,
    MarkKind,
    Number,
    Panel,
    PanelKind,
    Series,
    Tone,
    number,
)
from omega.analytics.context import Context
from omega.errors import ConfigError
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.integrity import Finding as Likeness
    from omega.analytics.integrity import Integrity
    from omega.analytics.orderbook import Rebuilt
    from omega.engine.bars import Bars

_SHOWN: Final = 40
_POINTS: Final = 500
_RAW: Final = "-raw.jsonl.gz"
LIKENESS: Final = "A likeness is no proof of intent: orders are withdrawn for honest reasons too."


@params
class Params:
    """What counts as suspicious."""

    spoof_size: float = param(3.0, low=0.5, high=100.0, unit="x of usual depth", doc="size of an order worth a look")
    pump_move: float = param(6.0, low=1.0, high=50.0, unit="deviations", doc="move that makes a pump")


@analysis("integrity", title="Market integrity", params=Params, uses=("ticks",), least=100)
def integrity(context: Context, p: Params) -> Analysis:
    """Look for what resembles manipulation, in bars and in a recorded order book."""
    from omega.analytics.integrity import PumpRules, SpoofRules, pumps
    from omega.analytics.integrity import integrity as in_book

    bars = context.bars
    pumped = pumps(bars, PumpRules(move=p.pump_move))
    record = _record(context.ticks, context.dataset) if context.ticks else None
    read = in_book(record, spoof=SpoofRules(size=p.spoof_size)) if record is not None else None
    every = (*(read.findings if read else ()), *pumped)
    return Analysis(
        analysis="integrity",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=bars.n,
        summary=_summary(pumped, read),
        findings=tuple(_finding(one, bars) for one in every[-_SHOWN:]),
        numbers=_numbers(pumped, read),
        caveats=(
            LIKENESS,
            *(() if read else ("No order book was read: only pumps can be seen in bars (--ticks names a recording).",)),
            *((f"The newest {_SHOWN} of {len(every)} are listed.",) if len(every) > _SHOWN else ()),
        ),
        panels=_panels(read, record),
        inputs=_read(record, context),
    )


def _read(record: Rebuilt | None, context: Context) -> tuple[Input, ...]:
    if record is None or not len(record.ts):
        return ()
    last = int(record.ts[-1])
    return (Input("order book", str(context.ticks), last, max(context.now_ns - last, 0) / 1e9),)


def _record(folder: Path, dataset: str) -> Rebuilt:
    """Rebuild the recorded book of a market.

    Raises:
        ConfigError: the folder has no recording of it.
    """
    from omega.analytics.orderbook import read_messages, rebuild

    found = sorted(path for path in folder.glob(f"*{_RAW}") if path.name.upper().startswith(f"{dataset}"))
    if not found:
        raise ConfigError(f"{folder} has no recording {dataset}*{_RAW}: name another folder or symbol")
    with gzip.open(found[0], "rt", encoding="utf-8") as lines:
        return rebuild(read_messages(lines))


def _summary(pumped: tuple[Likeness, ...], read: Integrity | None) -> str:
    told = f"{len(pumped)} pump{'s' if len(pumped) != 1 else ''} in these bars"
    if read is None:
        return f"{told}."
    kinds = Counter(one.kind for one in read.findings)
    book = ", ".join(f"{kinds[kind]} {kind}" for kind in ("spoofing", "layering", "wash"))
    return f"{told}; in {read.hours:.2f} hours of the order book {book}."


def _finding(one: Likeness, bars: Bars) -> Finding:
    marks: tuple[Mark, ...] = ()
    if int(bars.ts[0]) <= one.from_ns <= int(bars.ts[-1]) and one.price > 0.0:
        marks = (Mark(MarkKind.POINT, ((one.from_ns, one.price),), one.kind, Tone.STRONG),)
    return Finding(
        name=one.kind,
        at_ns=one.to_ns,
        text=one.text,
        numbers=(
            number("price", one.price, "quote currency"),
            number("size", one.size, "base units"),
            number("score", one.score, "0 to 1"),
            number("lasted", (one.to_ns - one.from_ns) / 1e9, "s"),
        ),
        marks=marks,
    )


def _numbers(pumped: tuple[Likeness, ...], read: Integrity | None) -> tuple[Number, ...]:
    made = [number("pumps", len(pumped), "in these bars")]
    if read is not None:
        made += [number(f"{kind} an hour", read.rate(kind), "1/h") for kind in ("spoofing", "layering", "wash")]
        if read.wash is not None:
            made += [
                number("share of volume in matched trades", read.wash.share, "fraction"),
                number("share expected by chance", read.wash.expected, "fraction"),
                number("p-value of that share", read.wash.p_value, "probability"),
            ]
    return tuple(made)


def _panels(read: Integrity | None, record: Rebuilt | None) -> tuple[Panel, ...]:
    if read is None or record is None or not len(record.ts):
        return ()
    import numpy as np

    rows = np.unique(np.linspace(0, len(record.ts) - 1, min(len(record.ts), _POINTS)).astype(np.int64))
    x = tuple(float(at) for at in record.ts[rows])
    kinds = ("spoofing", "layering", "wash")
    return (
        Panel(PanelKind.CURVE, "Middle of the book", (Series("middle", x, tuple(record.mid[rows].tolist())),)),
        Panel(
            PanelKind.CURVE,
            "Imbalance of the book near the touch (+1 all bids)",
            (Series("imbalance", x, tuple(record.imbalance[rows].tolist()), Tone.SOFT),),
            rules=((0.0, ""),),
        ),
        Panel(
            PanelKind.BARS,
            "Likenesses an hour",
            (Series("an hour", (), tuple(read.rate(kind) for kind in kinds)),),
            names=kinds,
        ),
    )
