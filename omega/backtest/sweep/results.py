"""Every trial of a study as a file: one row a trial, parameters and figures in columns. Called by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from omega.backtest.sweep.study import WHOLE, Study, Trial
from omega.errors import ConfigError, EnvironmentFault

ENDINGS: Final = (".parquet", ".csv", ".json")
_ROWS: Final = 20_000
"""Rows held at a time: a study of millions of trials is written in pieces."""


def check_name(path: Path) -> None:
    """Refuse a file that cannot be written, before the work.

    Raises:
        ConfigError: its ending is unknown, or it is a directory.
    """
    if path.suffix.lower() not in ENDINGS or path.is_dir():
        raise ConfigError(f"--out {path}: name a file that ends in {', '.join(ENDINGS)}")


def write(study: Study, path: Path) -> int:
    """Write all trials of a study and return how many there are.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _write_json(study, path) if path.suffix.lower() == ".json" else _write_table(study, path)
    except OSError as error:
        raise EnvironmentFault(f"cannot write the trials to {path}: {error}; name another file") from None


def row_of(trial: Trial) -> dict[str, Any]:
    """Return a trial as one flat row; a parameter that is called like a figure keeps its name, with `param_` before."""
    params = {f"param_{name}": value for name, value in trial.params.items()}
    own = {"fold": None if trial.fold == WHOLE else trial.fold, "number": trial.number, "state": trial.state}
    return {**own, "score": trial.score, **params, **trial.metrics, "why": trial.why, "finished_ns": trial.finished_ns}


def _write_json(study: Study, path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for trial in study.trials():
            file.write((",\n" if count else "\n") + json.dumps(row_of(trial)))
            count += 1
        file.write("\n]\n")
    return count


def _write_table(study: Study, path: Path) -> int:
    import pyarrow as pa
    from pyarrow import csv, parquet

    columns: dict[str, pa.DataType] = {}
    for trial in study.trials():
        for name, value in row_of(trial).items():
            columns[name] = _type(columns.get(name), value)
    schema = pa.schema([(name, kind or pa.float64()) for name, kind in columns.items()])
    made = (
        csv.CSVWriter(path, schema)
        if path.suffix.lower() == ".csv"
        else parquet.ParquetWriter(path, schema, compression="zstd")
    )
    count = 0
    with made as writer:
        for rows in _batches(study):
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def _batches(study: Study) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for trial in study.trials():
        rows.append(row_of(trial))
        if len(rows) == _ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def _type(known: Any, value: object) -> Any:
    """Return the widest type of what a column has shown so far."""
    import pyarrow as pa

    if value is None:
        return known
    found = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}[type(value)]
    return pa.float64() if {known, found} == {pa.int64(), pa.float64()} else found
