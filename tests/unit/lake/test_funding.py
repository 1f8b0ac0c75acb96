"""Funding files: at their instants, in fractions, or refused with row and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from omega.domain.time import from_iso
from omega.errors import ConfigError, CorruptData
from omega.storage.lake import read_funding
from omega.storage.lake.funding import missing_instants

HOURS_NS = 8 * 3_600_000_000_000
START_MS = 1_746_403_200_000


def write(folder: Path, *rows: str, name: str = "BTCUSDT-8h.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(["ts,funding_rate", *rows]) + "\n", encoding="utf-8")
    return path


def test_funding_recorded_is_read_whole(shared: Path) -> None:
    series = read_funding(shared / "derivs", "BTCUSDT_PERP")

    assert len(series.ts) == 6362
    assert (series.rate.min(), series.rate.max()) == (-0.003, 0.003)
    assert missing_instants(series, int(series.ts[0]), int(series.ts[-1])) == []


def test_funding_jitter_is_moved_to_its_instant(tmp_path: Path) -> None:
    path = write(tmp_path, f"{START_MS + 7},0.0001", f"{START_MS + 28_800_000 - 12},0.0002")

    series = read_funding(path)

    assert series.ts.tolist() == [START_MS * 10**6, START_MS * 10**6 + HOURS_NS]


def test_funding_of_another_time_zone_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, f"{START_MS},0.0001", f"{START_MS + 3 * 3_600_000},0.0001")

    with pytest.raises(CorruptData, match=r"row 2 \(line 3\), column ts: 2025-05-05T03:00:00.000Z is no funding inst"):
        read_funding(path)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("soon,0.0001", "column ts: 'soon' is no time"),
        ("5,0.0001", "column ts: 5 is no time between 2000 and 2100"),
        (f"{START_MS},much", "column funding_rate: 'much' is no number"),
        (f"{START_MS},", "column funding_rate: '' is no number"),
        (f"{START_MS},nan", "column funding_rate: nan is no fraction"),
        (f"{START_MS},0.06", "column funding_rate: 0.06 is no fraction"),
        (f"{START_MS - 28_800_000},0.0002", "but a row above says 0.0001"),
    ],
)
def test_funding_broken_row_is_named(tmp_path: Path, row: str, says: str) -> None:
    path = write(tmp_path, f"{START_MS - 28_800_000},0.0001", row)

    with pytest.raises(CorruptData) as refused:
        read_funding(path)

    assert f"{path}, row 2 (line 3)" in str(refused.value)
    assert says in str(refused.value)


def test_funding_without_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-8h.csv"
    path.write_text("time,rate\n1,2\n", encoding="utf-8")

    with pytest.raises(CorruptData, match="lacks the column ts, funding_rate"):
        read_funding(path)


def test_funding_absent_names_the_file_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a folder that holds BTCUSDT-8h\.csv"):
        read_funding(tmp_path, "BTCUSDT")


def test_funding_hole_is_listed_not_filled(tmp_path: Path) -> None:
    path = write(tmp_path, f"{START_MS},0.0001", f"{START_MS + 2 * 28_800_000},0.0002")

    series = read_funding(path)

    assert series.rate.tolist() == [0.0001, 0.0002]
    missing = missing_instants(series, START_MS * 10**6, START_MS * 10**6 + 3 * HOURS_NS)
    assert missing == [from_iso("2025-05-05T08:00:00Z")]
