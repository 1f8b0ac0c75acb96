"""Candle files: what is read, what is refused and how the refusal reads."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omega.errors import ConfigError, CorruptData
from services.simulator.candles import MINUTE_MS, load_candles, load_folder
from services.simulator.options import DATA

START = 1_746_403_200_000
COLUMNS = ("ts", "open", "high", "low", "close", "volume")


def rows(count: int = 5) -> list[list[Any]]:
    return [[START + i * MINUTE_MS, 100.0, 101.0, 99.0, 100.5, 3.0] for i in range(count)]


def written(folder: Path, table: list[list[Any]], header: tuple[str, ...] = COLUMNS) -> Path:
    path = folder / "BTCUSDT-1m.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *table])
    return path


def changed(row: int, column: str, value: Any) -> list[list[Any]]:
    table = rows()
    table[row][COLUMNS.index(column)] = value
    return table


def test_good_file_is_read_whole(tmp_path: Path) -> None:
    loaded = load_candles(written(tmp_path, rows()))

    assert (loaded.symbol, len(loaded), int(loaded.ts[-1])) == ("BTCUSDT", 5, START + 4 * MINUTE_MS)
    assert loaded.high.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (changed(2, "close", float("nan")), ("row 3", "column close")),
        (changed(2, "close", ""), ("row 3", "column close")),
        (changed(1, "high", float("inf")), ("row 2", "column high")),
        (changed(0, "low", 0), ("row 1", "column low")),
        (changed(3, "volume", -1), ("row 4", "column volume")),
        (changed(3, "low", 100.2), ("row 4", "column low", "outside")),
        (changed(4, "high", 100.2), ("row 5", "column high", "outside")),
        (changed(2, "ts", START + 1), ("row 3", "column ts", "whole minute")),
        (changed(2, "ts", START), ("row 3", "column ts", "not after")),
        ([row for i, row in enumerate(rows()) if i != 2], ("row 3", "1 minutes are missing", "--fill-gaps")),
        (changed(2, "open", "many"), ("column open", "not a number")),
        ([], ("holds no row",)),
    ],
)
@pytest.mark.req("3.06")
def test_broken_file_is_refused_with_file_row_and_column(
    tmp_path: Path, table: list[list[Any]], says: tuple[str, ...]
) -> None:
    with pytest.raises(CorruptData) as caught:
        load_candles(written(tmp_path, table))

    assert "BTCUSDT-1m.csv" in str(caught.value)
    for words in says:
        assert words in str(caught.value)


def test_wrong_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptData, match=r"lacks the column volume.*found ts, open, high, low, close, vol"):
        load_candles(written(tmp_path, rows(), (*COLUMNS[:-1], "vol")))


def test_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m.parquet"
    path.write_bytes(b"not a table")

    with pytest.raises(CorruptData, match="not a readable parquet file"):
        load_candles(path)


def test_gaps_filled_on_request_are_flat_and_without_volume(tmp_path: Path) -> None:
    table = [row for i, row in enumerate(rows(6)) if i not in {2, 3}]

    loaded = load_candles(written(tmp_path, table), fill_gaps=True)

    assert len(loaded) == 6
    assert np.diff(loaded.ts).tolist() == [MINUTE_MS] * 5
    for name in ("open_", "high", "low", "close"):
        assert getattr(loaded, name)[2:4].tolist() == [100.5, 100.5]
    assert loaded.volume[2:4].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("wanted", [(), ("SOLUSDT",)])
def test_missing_files_are_named_with_what_there_is(tmp_path: Path, wanted: tuple[str, ...]) -> None:
    if wanted:
        written(tmp_path, rows())

    with pytest.raises(ConfigError, match="SOLUSDT" if wanted else "--data"):
        load_folder(tmp_path, wanted)


def test_carried_candles_are_thirty_days_without_a_hole() -> None:
    carried = load_folder(DATA / "candles")

    assert set(carried) == {"BTCUSDT", "ETHUSDT"}
    for series in carried.values():
        assert len(series) == 30 * 1440
        assert int(series.ts[0]) == START
