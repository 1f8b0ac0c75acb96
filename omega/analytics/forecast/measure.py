"""The record of every model on recorded markets: the table that stands beside each forecast.

Called by `scripts/measure_forecasts.py`, which writes the files that the project carries in omega/analytics/data.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from omega.analytics.evidence import POOLED, Evidence, Verdict
from omega.analytics.forecast.models import DRIFT, MODELS, NO_CHANGE
from omega.analytics.forecast.scores import Bin, Gain, gain, hits, log_losses, reliability, score
from omega.analytics.forecast.walk import Ground, Plan, Walked, walk
from omega.engine.bars import F64, I64, Bars
from omega.errors import CorruptData
from omega.research.statistics import benjamini_hochberg

FILE: Final = Path(__file__).parents[1] / "data" / "forecasts.csv"
RELIABILITY: Final = Path(__file__).parents[1] / "data" / "reliability.csv"
FAMILY: Final = "forecast"
_ALPHA: Final = 0.05
_FEW: Final = 100


@dataclass(frozen=True, slots=True)
class Record:
    """One model's out-of-sample record.

    Units: horizon in bars; accuracy, low and high (95 %) shares; base_accuracy that of always calling what rose or
        fell more often in training; losses in nats, brier scores squared probabilities, of the model, of "no change"
        (one half always) and of the drift; p values one-sided, of "saves no log loss against" the one and the other;
        mean_return the mean log return of following each call for one horizon, before any cost.
    """

    model: str
    dataset: str
    timeframe: str
    horizon: int
    n: int
    accuracy: float
    low: float
    high: float
    base_accuracy: float
    log_loss: float
    no_change_log_loss: float
    drift_log_loss: float
    brier: float
    no_change_brier: float
    drift_brier: float
    calibration_error: float
    p_no_change: float
    p_drift: float
    mean_return: float

    @property
    def p_value(self) -> float:
        """The larger of the two: beating chance means beating both."""
        return max(self.p_no_change, self.p_drift)


COLUMNS: Final = tuple(field.name for field in fields(Record))


@dataclass(frozen=True, slots=True)
class Reliable:
    """One bin of a reliability table, of one model on one market."""

    model: str
    dataset: str
    timeframe: str
    horizon: int
    bin: Bin


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """What one model and the drift said of the same outcomes. Shapes: all (m,). Units: moved in log returns."""

    ts: I64
    p: F64
    drift: F64
    up: F64
    moved: F64


def measure_timeframe(
    markets: Mapping[str, Bars],
    timeframe: str,
    timeframe_ns: int,
    plan: Plan,
    told: Callable[[str], None] = lambda _: None,
) -> tuple[list[Record], list[Reliable]]:
    """Walk every model but the references over every market, and score each market and all of them together."""
    stretches: dict[str, list[_Stretch]] = {name: [] for name in MODELS if name not in {NO_CHANGE, DRIFT}}
    records, bins = [], []
    for dataset, bars in markets.items():
        ground = Ground.of(bars, timeframe_ns, plan)
        drift = walk(ground, MODELS[DRIFT])
        for name, found in stretches.items():
            walked = walk(ground, MODELS[name])
            one = _stretch(bars, walked, drift, plan.horizon)
            found.append(one)
            records.append(_record(name, dataset, timeframe, plan.horizon, one))
            bins += _bins(name, dataset, timeframe, plan.horizon, one)
            told(f"{dataset} {timeframe} h{plan.horizon} {name}: {records[-1].n} outcomes")
    for name, found in stretches.items():
        pooled = _Stretch(*(np.concatenate([getattr(s, part) for s in found]) for part in _Stretch.__slots__))
        records.append(_record(name, POOLED, timeframe, plan.horizon, pooled))
        bins += _bins(name, POOLED, timeframe, plan.horizon, pooled)
    return records, bins


def as_evidence(records: list[Record]) -> list[Evidence]:
    """Return the records as rows of evidence, corrected for every model, market and horizon tried."""
    corrected = benjamini_hochberg(np.array([r.p_value for r in records], dtype=np.float64))
    return [_evidence(r, float(q)) for r, q in zip(records, corrected, strict=True)]


@cache
def records_of() -> tuple[Record, ...]:
    """Return the records that the project carries."""
    return read_records(FILE) if FILE.exists() else ()


def read_records(path: Path) -> tuple[Record, ...]:
    """Read records.

    Raises:
        CorruptData: the columns or a cell are not those of a record.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != COLUMNS:
            raise CorruptData(f"{path} has other columns than {', '.join(COLUMNS)}; measure the forecasts anew")
        try:
            return tuple(
                Record(row[0], row[1], row[2], int(row[3]), int(row[4]), *(float(cell) for cell in row[5:]))
                for row in rows
            )
        except (ValueError, TypeError, IndexError) as error:
            raise CorruptData(f"{path}: {error}; measure the forecasts anew") from error


def write_tables(records: list[Record], bins: list[Reliable], folder: Path) -> None:
    """Write both tables, each whole or not at all."""
    _write(folder / FILE.name, COLUMNS, [astuple(record) for record in records])
    head = ("model", "dataset", "timeframe", "horizon", *(field.name for field in fields(Bin)))
    rows = [(b.model, b.dataset, b.timeframe, b.horizon, *astuple(b.bin)) for b in bins]
    _write(folder / RELIABILITY.name, head, rows)


def _write(path: Path, head: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(head)
        out.writerows([f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows)
    part.replace(path)


def _stretch(bars: Bars, walked: Walked, drift: Walked, horizon: int) -> _Stretch:
    moved = np.log(bars.close[walked.rows + horizon] / bars.close[walked.rows])
    return _Stretch(bars.ts[walked.rows], walked.probability, drift.probability, walked.up, moved)


def _record(model: str, dataset: str, timeframe: str, horizon: int, s: _Stretch) -> Record:
    even = np.full(len(s.up), 0.5)
    mine, steady, drift = score(s.p, s.up), score(even, s.up), score(s.drift, s.up)
    loss = log_losses(s.p, s.up)
    against_even = _gained(s.ts, log_losses(even, s.up) - loss, horizon)
    against_drift = _gained(s.ts, log_losses(s.drift, s.up) - loss, horizon)
    right = _gained(s.ts, hits(s.p, s.up), horizon)
    return Record(
        model=model,
        dataset=dataset,
        timeframe=timeframe,
        horizon=horizon,
        n=len(s.up),
        accuracy=mine.accuracy,
        low=right.low,
        high=right.high,
        base_accuracy=drift.accuracy,
        log_loss=mine.log_loss,
        no_change_log_loss=steady.log_loss,
        drift_log_loss=drift.log_loss,
        brier=mine.brier,
        no_change_brier=steady.brier,
        drift_brier=drift.brier,
        calibration_error=mine.calibration_error,
        p_no_change=against_even.p_value,
        p_drift=against_drift.p_value,
        mean_return=float((np.sign(s.p - 0.5) * s.moved).mean()),
    )


def _gained(ts: I64, values: F64, horizon: int) -> Gain:
    """Markets move together: what is drawn again is an instant with all its markets, never one market alone."""
    instants, row = np.unique(ts, return_inverse=True)
    sums: F64 = np.bincount(row, values, len(instants)).astype(np.float64)
    counts: F64 = np.bincount(row, minlength=len(instants)).astype(np.float64)
    return gain(sums, counts=counts, least_block=float(horizon))


def _bins(model: str, dataset: str, timeframe: str, horizon: int, s: _Stretch) -> list[Reliable]:
    return [Reliable(model, dataset, timeframe, horizon, b) for b in reliability(s.p, s.up)]


def _evidence(r: Record, q: float) -> Evidence:
    return Evidence(
        family=FAMILY,
        name=r.model,
        direction="both",
        measure=f"h{r.horizon}",
        dataset=r.dataset,
        timeframe=r.timeframe,
        n=r.n,
        rate=r.accuracy,
        low=r.low,
        high=r.high,
        base_rate=r.base_accuracy,
        p_value=r.p_value,
        q_value=q,
        verdict=_verdict(r, q),
    )


def _verdict(r: Record, q: float) -> Verdict:
    if r.n < _FEW:
        return Verdict.FEW
    return Verdict.BEATS if q < _ALPHA else Verdict.NOT
