"""Candle files: read to the last bit, or refused with file, row and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omega.errors import ConfigError, CorruptData
from omega.storage.lake import content_hash, open_candles

START_NS = 1_746_403_200_000 * 1_000_000
MINUTE_NS = 60_000_000_000
PROJECT = Path(__file__).parents[3]
WriteCsv = Callable[..., Path]


def changed(rows: list[str], row: int, column: int, cell: str) -> list[str]:
    cells = rows[row].split(",")
    cells[column] = cell
    return [*rows[:row], ",".join(cells), *rows[row + 1 :]]


def parquet(path: Path, **columns: Any) -> Path:
    whole = {
        "ts": [1_746_403_200_000, 1_746_403_260_000],
        **{name: [100.0, 100.0] for name in ("open", "high", "low", "close", "volume")},
        **columns,
    }
    pq.write_table(pa.table(whole), path)
    return path


def test_csv_read_gives_every_value(write_csv: WriteCsv, rows: list[str]) -> None:
    bars = open_candles(write_csv(rows)).read()

    assert bars.ts.tolist() == [START_NS + MINUTE_NS * k for k in range(10)]
    assert bars.open.tolist() == [100.5 + k for k in range(10)]
    assert bars.volume.tolist() == [k + 0.125 for k in range(10)]


@pytest.mark.parametrize(
    "stamp",
    [
        lambda ms: str(ms // 1000),
        str,
        lambda ms: str(ms * 1000),
        lambda ms: str(ms * 1_000_000),
        lambda ms: str(np.datetime64(ms, "ms")) + "Z",
        lambda ms: str(np.datetime64(ms, "ms")).replace("T", " "),
        lambda ms: str(np.datetime64(ms // 1000, "s")) + "+00:00",
        lambda ms: str(np.datetime64(ms // 1000 + 3_600, "s")) + "+01:00",
    ],
    ids=["s", "ms", "us", "ns", "iso-z", "iso-space", "iso-offset", "iso-other-zone"],
)
def test_csv_time_in_any_unit_is_recognised(write_csv: WriteCsv, rows: list[str], stamp: Any) -> None:
    written = [",".join([stamp(int(row.split(",")[0])), *row.split(",")[1:]]) for row in rows]

    assert open_candles(write_csv(written)).read().ts.tolist() == [START_NS + MINUTE_NS * k for k in range(10)]


@pytest.mark.parametrize(
    ("row", "column", "cell", "says"),
    [
        (4, 1, "abc", "'abc' is no number"),
        (4, 1, "1_000", "'1_000' is no number"),
        (4, 2, "", "no number (empty or NaN)"),
        (4, 3, "NaN", "no number (empty or NaN)"),
        (4, 4, "inf", "inf; a price is finite and above zero"),
        (4, 4, "-1", "-1.0; a price is finite and above zero"),
        (4, 1, "0", "0.0; a price is finite and above zero"),
        (4, 5, "-0.5", "-0.5; a volume is finite and not below zero"),
        (4, 3, "1000", "below the low"),
        (4, 2, "104", "above the high"),
        (4, 0, "yesterday", "'yesterday' is no time"),
        (4, 0, "", "no time (empty)"),
        (4, 0, "1746403380000", "stands twice"),
        (4, 0, "1746403200000", "comes before the row above it"),
        (4, 0, "1746403440001", "no open time of a 1m bar"),
        (4, 0, "17464034400000", "no time in ms"),
    ],
)
def test_csv_broken_row_is_named(
    write_csv: WriteCsv, rows: list[str], row: int, column: int, cell: str, says: str
) -> None:
    """File, row, line and column, whatever is wrong with the cell."""
    path = write_csv(changed(rows, row, column, cell))

    with pytest.raises(CorruptData) as refused:
        open_candles(path).read()

    name = ("ts", "open", "high", "low", "close", "volume")[column]
    assert says in str(refused.value)
    assert f"{path}, row 5 (line 6), column" in str(refused.value)
    if "stands" not in says and "low" not in says and "high" not in says:
        assert f"column {name}:" in str(refused.value)


def test_csv_high_below_low_is_named(write_csv: WriteCsv, rows: list[str]) -> None:
    path = write_csv(changed(changed(rows, 2, 2, "90"), 2, 3, "95"))

    with pytest.raises(CorruptData, match=r"row 3 \(line 4\), column high: the high lies below the low"):
        open_candles(path).read()


def test_csv_ragged_row_is_named(write_csv: WriteCsv, rows: list[str]) -> None:
    with pytest.raises(CorruptData, match=r"row 4 \(line 5\), column volume: the row has 5 cells, the header 6"):
        open_candles(write_csv([*rows[:3], rows[3].rpartition(",")[0], *rows[4:]])).read()


def test_csv_line_number_counts_blank_lines(write_csv: WriteCsv, rows: list[str]) -> None:
    path = write_csv([*rows[:2], "", "", *changed(rows, 2, 4, "x")[2:]])

    with pytest.raises(CorruptData, match=r"row 3 \(line 6\), column close: 'x' is no number"):
        open_candles(path).read()


@pytest.mark.parametrize("column", ["ts", "open", "high", "low", "close", "volume"])
def test_csv_missing_column_is_named(write_csv: WriteCsv, rows: list[str], column: str) -> None:
    header = "ts,open,high,low,close,volume".replace(column, "other")

    with pytest.raises(CorruptData, match=f"lacks the column {column}: expected ts, open"):
        open_candles(write_csv(rows, header=header)).read()


def test_csv_other_header_spelling_is_understood(write_csv: WriteCsv, rows: list[str]) -> None:
    path = write_csv(rows, header="Timestamp,Open,High,Low,Close,Volume")

    assert open_candles(path).read().n == 10


@pytest.mark.parametrize("text", ["", "ts,open,high,low,close,volume\n", "\x00\x01\x02"])
def test_csv_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "BTCUSDT-1m.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises((CorruptData, ConfigError), match=str(path)):
        open_candles(path).read()


def test_parquet_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m.parquet"
    path.write_bytes(b"PAR1 nonsense")

    with pytest.raises(CorruptData, match="is no readable Parquet file"):
        open_candles(path).read()


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"close": [100.0, None]}, "row 2, column close: no number"),
        ({"close": [100.0, float("nan")]}, "row 2, column close: no number"),
        ({"close": ["100.0", "dear"]}, "row 2, column close: 'dear' is no number"),
        ({"ts": [1_746_403_200_000, None]}, "row 2, column ts: no time"),
        ({"ts": ["2025-05-05T00:00", "soon"]}, "row 2, column ts: 'soon' is no time"),
        ({"ts": [1.7464032e18, 1.74640326e18]}, "row 1, column ts: 1.7464032e"),
        ({"ts": [12, 13]}, "row 1, column ts: 12 is no time between 2000 and 2100"),
        ({"volume": [1.0, -1.0]}, "row 2, column volume: -1.0"),
    ],
)
def test_parquet_broken_row_is_named(tmp_path: Path, columns: dict[str, Any], says: str) -> None:
    path = parquet(tmp_path / "BTCUSDT-1m.parquet", **columns)

    with pytest.raises(CorruptData) as refused:
        open_candles(path).read()

    assert str(refused.value).startswith(f"{path}, {says}")


@pytest.mark.parametrize(
    "ts",
    [
        pa.array([1_746_403_200_000, 1_746_403_260_000], pa.timestamp("ms")),
        pa.array([1_746_403_200_000_000_000, 1_746_403_260_000_000_000], pa.timestamp("ns", "UTC")),
        pa.array([1_746_403_200, 1_746_403_260], pa.timestamp("s", "Europe/Berlin")),
        pa.array([1_746_403_200, 1_746_403_260], pa.uint32()),
        pa.array([1.7464032e12, 1.74640326e12], pa.float64()),
        pa.array(["2025-05-05T00:00:00Z", "2025-05-05T00:01:00Z"]),
    ],
    ids=["naive", "utc", "zone", "uint32", "float-ms", "text"],
)
def test_parquet_time_of_any_type_is_recognised(tmp_path: Path, ts: Any) -> None:
    path = parquet(tmp_path / "BTCUSDT-1m.parquet", ts=ts)

    assert open_candles(path).read().ts.tolist() == [START_NS, START_NS + MINUTE_NS]


@pytest.mark.parametrize("kind", [pa.float32(), pa.int64(), pa.decimal128(24, 2), pa.string()])
def test_parquet_numbers_of_any_type_are_read(tmp_path: Path, kind: Any) -> None:
    values = pa.array(["100", "101"]) if kind == pa.string() else pa.array([100, 101]).cast(kind)
    path = parquet(tmp_path / "BTCUSDT-1m.parquet", close=values, high=[200.0, 200.0])

    assert open_candles(path).read().close.tolist() == [100.0, 101.0]


@pytest.mark.req("4.46", "4.84")
def test_parquet_range_reads_only_its_row_groups(tmp_path: Path) -> None:
    """A broken row outside the groups of the range is never seen."""
    whole = pq.read_table(PROJECT / "data" / "candles" / "BTCUSDT-1m.parquet")
    broken = whole.set_column(4, "close", pa.array([-1.0, *whole["close"].to_pylist()[1:]]))
    path = tmp_path / "BTCUSDT-1m.parquet"
    pq.write_table(broken, path, row_group_size=10_000)
    file = open_candles(path)
    first_ns, last_ns = int(whole["ts"][20_500].as_py()) * 10**6, int(whole["ts"][20_600].as_py()) * 10**6

    bars = file.read(first_ns, last_ns)

    assert bars.n == 100
    assert (int(bars.ts[0]), int(bars.ts[-1])) == (first_ns, last_ns - MINUTE_NS)
    with pytest.raises(CorruptData, match="row 1, column close"):
        file.read()


def test_parquet_broken_row_of_a_later_group_is_counted_from_the_file(tmp_path: Path) -> None:
    whole = pq.read_table(PROJECT / "data" / "candles" / "BTCUSDT-1m.parquet").slice(0, 300)
    lows = whole["low"].to_pylist()
    lows[250] = 10.0**9
    path = tmp_path / "BTCUSDT-1m.parquet"
    pq.write_table(whole.set_column(3, "low", pa.array(lows)), path, row_group_size=100)

    with pytest.raises(CorruptData, match="row 251, column"):
        open_candles(path).read()


def test_parquet_order_is_checked_across_row_groups(tmp_path: Path) -> None:
    whole = pq.read_table(PROJECT / "data" / "candles" / "BTCUSDT-1m.parquet").slice(0, 200)
    path = tmp_path / "BTCUSDT-1m.parquet"
    pq.write_table(pa.concat_tables([whole.slice(100), whole.slice(0, 100)]), path, row_group_size=100)

    with pytest.raises(CorruptData, match=r"row 101, column ts: .* comes before the row above it"):
        open_candles(path).read()


def test_timeframe_unnamed_is_the_smallest_step(write_csv: WriteCsv, rows: list[str]) -> None:
    file = open_candles(write_csv([*rows[:3], *rows[5:]], name="my_candles.csv"))

    assert (file.symbol, file.timeframe_ns) == ("my_candles", MINUTE_NS)


def test_file_absent_or_of_another_kind_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no candle file"):
        open_candles(tmp_path / "BTCUSDT-1m.parquet")
    (tmp_path / "BTCUSDT-1m.feather").touch()
    with pytest.raises(ConfigError, match=r"neither \.parquet nor \.csv"):
        open_candles(tmp_path / "BTCUSDT-1m.feather")


def test_hash_is_of_the_values_not_of_the_file(tmp_path: Path) -> None:
    """The same bars as Parquet and as CSV have one hash."""
    source = PROJECT / "data" / "candles" / "ETHUSDT-1m.parquet"
    table = pq.read_table(source).slice(0, 5000)
    lines = ["ts,open,high,low,close,volume"]
    lines += [",".join(str(cell) for cell in row.values()) for row in table.to_pylist()]
    (tmp_path / "ETHUSDT-1m.csv").write_text("\n".join(lines), encoding="utf-8")
    pq.write_table(table, tmp_path / "ETHUSDT-1m.parquet", compression="none", row_group_size=700)

    hashes = {content_hash(open_candles(tmp_path / f"ETHUSDT-1m.{kind}").read()) for kind in ("csv", "parquet")}

    assert len(hashes) == 1


def test_shared_files_keep_every_rule(shared: Path) -> None:
    """All recorded files are sound, as their own quality report says."""
    for path in sorted((shared / "ohlcv").glob("*.parquet")):
        assert open_candles(path).read().n == pq.ParquetFile(path).metadata.num_rows
