"""How often a call came true on recorded data, against chance: the rows shown beside every finding and forecast.

The rows lie in `data/evidence.csv`, which `make evidence` writes anew. Read by the analytics service, the command line
and the reference page.
"""

from __future__ import annotations

import csv
import math
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from omega.errors import CorruptData

FILE: Final = Path(__file__).parent / "data" / "evidence.csv"
POOLED: Final = "all"
TARGET: Final = "target"
LENGTHS_NS: Final = {"15m": 900_000_000_000, "1h": 3_600_000_000_000, "1d": 86_400_000_000_000}
"""The timeframes that patterns are measured on, and their lengths in ns."""


class Verdict(StrEnum):
    """What the figures allow to be said."""

    BEATS = "beats chance"
    NOT = "does not beat chance"
    WORSE = "worse than chance"
    FEW = "too few to tell"
    UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured rate of one call.

    Attributes:
        family: candles, harmonic, shapes, structure, levels, forecast.
        name: the pattern or forecast.
        direction: "long", "short", or "both" for a forecast that answers for itself.
        measure: "target" for the first target before the invalidation, "h5" and so on for the sign of the return so
            many bars later, or a forecast's own.
        dataset: the market, "all" for the markets pooled.
        timeframe: of the bars.
        n: calls counted.
        rate: share of calls that came true, 0 to 1.
        low: lower end of the 95 % interval of the rate.
        high: upper end.
        base_rate: the rate of chance: random entries matched in time, volatility, direction and distances.
        p_value: of "no better than chance", one-sided.
        q_value: p_value corrected for the false discovery rate over all that was measured with it: every pattern, or
            every forecast.
        verdict: what may be said.
    """

    family: str
    name: str
    direction: str
    measure: str
    dataset: str
    timeframe: str
    n: int
    rate: float
    low: float
    high: float
    base_rate: float
    p_value: float
    q_value: float
    verdict: Verdict

    def sentence(self) -> str:
        """Return the row as a sentence for people."""
        if self.verdict is Verdict.UNMEASURED:
            return f"{self.name}: not measured"
        return (
            f"{self.rate:.0%} of {self.n:,} came true ({self.low:.0%} to {self.high:.0%}), chance {self.base_rate:.0%}:"
            f" {self.verdict.value}"
        )


COLUMNS: Final = tuple(field.name for field in fields(Evidence))


def evidence_of(
    name: str, direction: str, *, measure: str = TARGET, dataset: str = POOLED, timeframe: str = "1h"
) -> Evidence:
    """Return the measured row of a call; one that says "not measured" when there is none."""
    found = _index().get((name, direction, measure, dataset, timeframe))
    if found is not None:
        return found
    return Evidence(
        "", name, direction, measure, dataset, timeframe, 0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, Verdict.UNMEASURED
    )


def measured_timeframe(timeframe_ns: int) -> str:
    """Return the measured timeframe that is nearest to one, by ratio; "1h" when nothing is measured.

    Figures of other bars say little about yours: show which ones they are.
    """
    named = {row.timeframe for row in evidence()} & set(LENGTHS_NS)
    return min(named, key=lambda name: abs(math.log(LENGTHS_NS[name] / timeframe_ns)), default="1h")


@cache
def evidence() -> tuple[Evidence, ...]:
    """Return every row that the project carries, none when the file is absent."""
    return read_evidence(FILE) if FILE.exists() else ()


def read_evidence(path: Path) -> tuple[Evidence, ...]:
    """Read rows from a file.

    Raises:
        CorruptData: other columns, or a cell that is no number or verdict.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != COLUMNS:
            raise CorruptData(f"{path} has other columns than {', '.join(COLUMNS)}; write it anew with `make evidence`")
        return tuple(_row(path, number, row) for number, row in enumerate(rows, start=2))


def write_evidence(path: Path, rows: list[Evidence]) -> None:
    """Write rows to a file, whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows([f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in astuple(r)] for r in rows)
    part.replace(path)


def _row(path: Path, number: int, cells: list[str]) -> Evidence:
    try:
        numbers = [float(cell) for cell in cells[7:13]]
        return Evidence(*cells[:6], int(cells[6]), *numbers, Verdict(cells[13]))  # type: ignore[call-arg,arg-type]
    except (ValueError, IndexError, TypeError) as error:
        raise CorruptData(f"{path}, line {number}: {error}; write it anew with `make evidence`") from error


@cache
def _index() -> dict[tuple[str, str, str, str, str], Evidence]:
    return {(row.name, row.direction, row.measure, row.dataset, row.timeframe): row for row in evidence()}
