"""The lake: idempotent, atomic, never overwriting unasked, with the origin of every row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omega.engine import Bars
from omega.errors import ConfigError, CorruptData, TransientError
from omega.storage.lake import (
    Lake,
    Origin,
    Prefer,
    Series,
    audit,
    content_hash,
    file_hash,
    import_file,
    open_candles,
    resample_series,
)
from omega.storage.lake.commit import writing
from omega.storage.lake.store import uncovered

MINUTE_NS = 60_000_000_000
NOW_NS = 1_795_000_000_000_000_000
EVE_NS = 1_735_689_600_000_000_000 - 5 * MINUTE_NS
"""Five minutes before 2025."""
SERIES = Series("binance", "BTCUSDT", MINUTE_NS)
ORIGIN = Origin("a file", "ab12", ("import",), "omega data import", NOW_NS)


def bars(first: int = 0, count: int = 10, price: float = 100.0) -> Bars:
    """Minutes around the turn of the year."""
    k = np.arange(first, first + count)
    close = price + k / 8
    return Bars.of(EVE_NS + k * MINUTE_NS, close.copy(), close + 1, close - 1, close, k + 1.0)


def put(lake: Lake, offered: Bars, prefer: Prefer = Prefer.NEITHER) -> tuple[int, int, int, bool]:
    with lake.writer(SERIES) as writer:
        writer.put([offered], ORIGIN, prefer=prefer)
        done = writer.commit()
    return done.added, done.replaced, done.kept, done.refused


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every visible file with its content and its time."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.mark.req("1.07", "4.84")
def test_lake_layout_is_venue_symbol_timeframe_year(lake: Lake) -> None:
    put(lake, bars())

    assert sorted(snapshot(lake.root)) == [
        "binance/BTCUSDT/1m/2024.json",
        "binance/BTCUSDT/1m/2024.parquet",
        "binance/BTCUSDT/1m/2025.json",
        "binance/BTCUSDT/1m/2025.parquet",
        "lake.json",
    ]
    assert lake.series() == [SERIES]
    assert content_hash(lake.read(SERIES)) == content_hash(bars())


@pytest.mark.req("4.83")
def test_lake_files_are_zstd_and_plain_parquet(lake: Lake) -> None:
    put(lake, bars())

    file = pq.ParquetFile(lake.folder(SERIES) / "2025.parquet")
    columns = [file.metadata.row_group(0).column(k) for k in range(6)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert file.schema_arrow.names == ["ts", "open", "high", "low", "close", "volume"]
    assert file.schema_arrow.types == [pa.int64(), *[pa.float64()] * 5]


def test_import_again_changes_no_file(lake: Lake) -> None:
    put(lake, bars())
    before = snapshot(lake.root)

    assert put(lake, bars()) == (0, 0, 0, False)
    assert put(lake, bars(2, 5)) == (0, 0, 0, False)
    assert snapshot(lake.root) == before


def test_import_fills_a_hole_and_extends_both_ends(lake: Lake) -> None:
    put(lake, bars(3, 1))
    put(lake, bars(6, 1))

    assert put(lake, bars()) == (8, 0, 0, False)
    assert content_hash(lake.read(SERIES)) == content_hash(bars())


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_import_that_disagrees_in_any_value_is_refused_whole(lake: Lake, field: str) -> None:
    """Also the years that agree, and also the rows that would be new."""
    put(lake, bars())
    before = snapshot(lake.root)
    offered = bars(0, 20)
    getattr(offered, field)[7] *= 1.0000001 if field != "high" else 1.5

    with lake.writer(SERIES) as writer:
        writer.put([offered], ORIGIN)
        done = writer.commit()

    assert (done.refused, done.kept, done.years) == (True, 1, [])
    assert [(entry.ts_ns, entry.column) for entry in done.differences] == [(EVE_NS + 7 * MINUTE_NS, field)]
    assert snapshot(lake.root) == before


def test_import_preferring_the_recorded_adds_only_what_is_new(lake: Lake) -> None:
    put(lake, bars())

    assert put(lake, bars(5, 10, price=200.0), Prefer.RECORDED) == (5, 0, 5, False)
    assert lake.read(SERIES).close.tolist() == [*bars().close, *bars(10, 5, price=200.0).close]


def test_import_preferring_the_offered_replaces_and_says_so(lake: Lake) -> None:
    put(lake, bars())

    assert put(lake, bars(5, 10, price=200.0), Prefer.OFFERED) == (5, 5, 0, False)
    assert lake.read(SERIES).close.tolist() == [*bars(0, 5).close, *bars(5, 10, price=200.0).close]
    assert [entry.rows for entry in lake.years(SERIES)[2025].lineage] == [5, 10]


@pytest.mark.req("4.80")
def test_lineage_names_source_hash_steps_command_and_time(lake: Lake, write_csv: object, rows: list[str]) -> None:
    source = write_csv(rows)  # type: ignore[operator]  # the fixture is a function
    import_file(lake, open_candles(source), "binance", command="omega data import x", now_ns=NOW_NS)

    entry = lake.years(SERIES)[2025].lineage[0]
    assert entry.origin == Origin(str(source), file_hash(source), ("import",), "omega data import x", NOW_NS)
    assert (entry.rows, entry.first_ns) == (10, 1_746_403_200_000_000_000)
    side = json.loads((lake.folder(SERIES) / "2025.json").read_text())
    assert side["lineage"][0]["origin"]["digest"] == file_hash(source)
    assert side["content"] == content_hash(lake.read(SERIES))


@pytest.mark.req("4.80")
def test_lineage_of_resampled_bars_holds_the_whole_chain(lake: Lake) -> None:
    put(lake, bars(0, 30))

    report = resample_series(lake, SERIES, 5 * MINUTE_NS, command="omega data resample", now_ns=NOW_NS)

    made = Series("binance", "BTCUSDT", 5 * MINUTE_NS)
    assert (report.series, report.written.added) == (made, 6)
    origin = lake.years(made)[2025].lineage[0].origin
    assert origin.steps == ("import", "resample 1m to 5m")
    assert (origin.source, origin.digest) == ("binance/BTCUSDT/1m", content_hash(lake.read(SERIES)))


def test_resampled_bars_across_a_gap_stay_marked_until_they_are_whole(lake: Lake) -> None:
    put(lake, bars(0, 7))
    put(lake, bars(8, 12))
    made = Series("binance", "BTCUSDT", 5 * MINUTE_NS)
    resample_series(lake, SERIES, 5 * MINUTE_NS, command="", now_ns=NOW_NS)
    assert [ts for meta in lake.years(made).values() for ts in meta.partial] == [EVE_NS + 5 * MINUTE_NS]

    put(lake, bars(7, 1))
    report = resample_series(lake, SERIES, 5 * MINUTE_NS, command="", now_ns=NOW_NS)

    # the volume of the whole bar is another: it is a finding like any other until somebody decides
    assert report.written.refused
    assert {entry.column for entry in report.written.differences} == {"volume"}
    resample_series(lake, SERIES, 5 * MINUTE_NS, command="", now_ns=NOW_NS, prefer=Prefer.OFFERED)
    assert [ts for meta in lake.years(made).values() for ts in meta.partial] == []


def test_import_unfinished_last_bar_is_left_out_and_reported(lake: Lake, write_csv: object, rows: list[str]) -> None:
    import os

    source = write_csv(rows)  # type: ignore[operator]  # the fixture is a function
    last_ns = 1_746_403_200_000_000_000 + 9 * MINUTE_NS
    os.utime(source, ns=(last_ns + 20_000_000_000,) * 2)

    report = import_file(lake, open_candles(source), "binance", command="", now_ns=NOW_NS)

    assert (report.survey.unfinished_ns, report.written.added) == (last_ns, 9)
    assert int(lake.read(SERIES).ts[-1]) == last_ns - MINUTE_NS


def test_import_of_the_future_is_refused(lake: Lake, write_csv: object, rows: list[str]) -> None:
    with pytest.raises(CorruptData, match="holds bars of the future"):
        import_file(
            lake,
            open_candles(write_csv(rows)),  # type: ignore[operator]  # the fixture is a function
            "binance",
            command="",
            now_ns=1_746_403_200_000_000_000 + 3 * MINUTE_NS,
        )


def test_import_of_a_broken_row_leaves_the_lake_as_it_was(lake: Lake, write_csv: object, rows: list[str]) -> None:
    put(lake, bars())
    before = snapshot(lake.root)
    rows[8] = rows[8].replace("109", "-109")

    with pytest.raises(CorruptData, match="row 9"):
        import_file(lake, open_candles(write_csv(rows)), "binance", command="", now_ns=NOW_NS)  # type: ignore[operator]  # a function

    assert snapshot(lake.root) == before


@pytest.mark.req("4.84", "4.46")
def test_range_read_opens_only_its_years(lake: Lake) -> None:
    put(lake, bars())
    (lake.folder(SERIES) / "2024.parquet").write_bytes(b"broken")

    assert lake.read(SERIES, EVE_NS + 5 * MINUTE_NS).n == 5
    with pytest.raises(CorruptData, match=r"2024\.parquet is no readable Parquet"):
        lake.read(SERIES)


def test_lake_is_not_made_in_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").touch()

    with pytest.raises(ConfigError, match="is no lake, and not empty"), Lake(tmp_path).writer(SERIES):
        pass


@pytest.mark.parametrize(("venue", "symbol"), [("../x", "BTCUSDT"), ("binance", "BTC/USDT"), ("", "B"), (".x", "B")])
def test_lake_names_cannot_leave_it(lake: Lake, venue: str, symbol: str) -> None:
    with pytest.raises(ConfigError, match="is no"), lake.writer(Series(venue, symbol, MINUTE_NS)):
        pass


def test_lake_has_one_writer_a_series(lake: Lake) -> None:
    with (
        lake.writer(SERIES),
        pytest.raises(TransientError, match="another process writes"),
        lake.writer(SERIES),
    ):
        pass


def test_commit_journalled_and_not_carried_out_is_read_and_then_finished(tmp_path: Path) -> None:
    """What a writer leaves that was killed between its journal and the renames."""
    with writing(tmp_path) as commit:
        commit.write("2025.parquet", lambda file: file.write(b"old"))
        commit.write("2025.json", lambda file: file.write(b"old"))
        commit.publish()
    (tmp_path / "2025.parquet.new").write_bytes(b"new")
    (tmp_path / ".journal").write_text('["2025.json", "2025.parquet"]')
    (tmp_path / "2025.json").write_bytes(b"new")

    from omega.storage.lake.commit import reading

    with reading(tmp_path) as files:
        assert {name: path.read_bytes() for name, path in files.items()} == {
            "2025.parquet": b"new",
            "2025.json": b"new",
        }
    with writing(tmp_path):
        pass
    assert (tmp_path / "2025.parquet").read_bytes() == b"new"
    assert not list(tmp_path.glob("*.new"))
    assert not (tmp_path / ".journal").exists()


def test_commit_staged_and_not_journalled_is_forgotten(tmp_path: Path) -> None:
    with writing(tmp_path) as commit:
        commit.write("2025.parquet", lambda file: file.write(b"old"))
        commit.publish()
    (tmp_path / "2025.parquet.new").write_bytes(b"half")

    from omega.storage.lake.commit import reading

    with reading(tmp_path) as files:
        assert files["2025.parquet"].read_bytes() == b"old"
    with writing(tmp_path):
        assert not (tmp_path / "2025.parquet.new").exists()


def test_audit_finds_bars_that_were_changed_behind_the_lakes_back(lake: Lake) -> None:
    put(lake, bars(5, 10))
    assert [item.faults for item in audit(lake.root, now_ns=NOW_NS)] == [[]]
    path = lake.folder(SERIES) / "2025.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(5, "volume", pa.array([9.0] * 10)).cast(table.schema), path)

    found = audit(lake.root, now_ns=NOW_NS)

    assert "its bars are not those that were written" in found[0].faults[0]


def test_audit_holds_higher_bars_against_lower_ones(tmp_path: Path) -> None:
    minutes = pq.read_table(Path(__file__).parents[3] / "data" / "candles" / "BTCUSDT-1m.parquet").slice(0, 600)
    pq.write_table(minutes, tmp_path / "BTCUSDT-1m.parquet")
    from omega.storage.lake import resample

    made = resample(open_candles(tmp_path / "BTCUSDT-1m.parquet").read(), MINUTE_NS, 60 * MINUTE_NS).bars
    close = made.close.copy()
    close[3] = made.low[3]
    columns = {"ts": made.ts, "open": made.open, "high": made.high, "low": made.low, "close": close}
    pq.write_table(pa.table({**columns, "volume": made.volume}), tmp_path / "BTCUSDT-1h.parquet")

    found = {Path(item.name).name: item.faults for item in audit(tmp_path, now_ns=NOW_NS)}

    assert found["BTCUSDT-1m.parquet"] == []
    (fault,) = found["BTCUSDT-1h.parquet"]
    assert fault.startswith("1 of 10 bars are not what the 1m bars make, the first at 2025-05-05T03:00:00.000Z")


def test_audit_of_recorded_files_finds_the_known_bad_bars_and_no_other(shared: Path, tmp_path: Path) -> None:
    """Two hours of the perpetual's record are known to differ between its 30m and its 1h bars in price or volume."""
    for name in ("BTCUSDT_PERP-30m.parquet", "BTCUSDT_PERP-1h.parquet"):
        (tmp_path / name).symlink_to(shared / "ohlcv" / name)

    faults = [fault for item in audit(tmp_path, now_ns=NOW_NS) for fault in item.faults]

    assert len(faults) == 1
    assert "3 of 50934 bars are not what the 30m bars make, the first at 2019-09-09T02:00:00.000Z" in faults[0]


def test_uncovered_is_what_no_span_covers() -> None:
    assert uncovered((0, 10), []) == [(0, 10)]
    assert uncovered((0, 10), [(2, 4), (3, 5), (8, 20)]) == [(0, 2), (5, 8)]
    assert uncovered((0, 10), [(-5, 12)]) == []
    assert uncovered((5, 10), [(0, 2), (12, 14)]) == [(5, 10)]
