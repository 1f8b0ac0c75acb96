"""`omega data`: what people and scripts see, and the exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from omega.cli.data import app
from omega.errors import ConfigError, CorruptData

CANDLES = Path(__file__).parents[3] / "data" / "candles"


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def ask(*arguments: object, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def part(path: Path, first: int, count: int, *, hole: int = -1) -> Path:
    """Some of the project's minutes as a file of their own, perhaps without one of them."""
    rows = [row for row in range(first, first + count) if row != hole]
    pq.write_table(pq.read_table(CANDLES / "BTCUSDT-1m.parquet").take(rows), path)
    return path


def test_import_then_list_check_and_resample_agree(lake: Path) -> None:
    done = ask("import", CANDLES, "--venue", "binance", "--lake", lake)

    assert [(item["series"], item["added"], item["missing"]) for item in done] == [
        ("binance/BTCUSDT/1m", 43_200, 0),
        ("binance/ETHUSDT/1m", 43_200, 0),
    ]
    made = ask("resample", "BTCUSDT", "--to", "1h", "--lake", lake)
    assert (made["series"], made["added"]) == ("binance/BTCUSDT/1h", 720)
    listed = ask("list", "--lake", lake)
    assert [(row["symbol"], row["timeframe"], row["rows"]) for row in listed] == [
        ("BTCUSDT", "1m", 43_200),
        ("BTCUSDT", "1h", 720),
        ("ETHUSDT", "1m", 43_200),
    ]
    checked = ask("check", lake)
    assert [item["faults"] for item in checked] == [[], [], []]
    assert checked[0]["data_hash"] == ask("check", CANDLES / "BTCUSDT-1m.parquet")[0]["data_hash"]


def test_import_of_disagreeing_bars_is_a_finding(lake: Path, tmp_path: Path) -> None:
    first = part(tmp_path / "BTCUSDT-1m.parquet", 0, 100)
    run("import", first, "--venue", "binance", "--lake", lake)
    other = tmp_path / "other" / "BTCUSDT-1m.parquet"
    other.parent.mkdir()
    table = pq.read_table(first)
    pq.write_table(table.set_column(5, "volume", table["volume"].combine_chunks().take(list(range(99, -1, -1)))), other)

    text = run("import", other, "--venue", "binance", "--lake", lake, code=1)

    assert "REFUSED" in text
    assert "nothing was changed" in text
    assert "--prefer recorded or --prefer offered" in text
    assert "volume: recorded" in text
    assert ask("import", other, "--venue", "binance", "--lake", lake, "--prefer", "offered")[0]["replaced"] > 90


def test_check_gap_is_a_finding_unless_allowed(tmp_path: Path) -> None:
    path = part(tmp_path / "BTCUSDT-1m.parquet", 0, 100, hole=40)

    text = run("check", path, code=1)
    assert "gap: 1 bars missing from 2025-05-05T00:40:00.000Z before 2025-05-05T00:41:00.000Z" in text
    found = ask("check", path, "--allow-gaps")
    assert found[0]["gaps"] == [
        {"from": "2025-05-05T00:40:00.000Z", "to": "2025-05-05T00:41:00.000Z", "missing": 1},
    ]


def test_check_of_a_broken_file_is_a_finding_that_names_the_row(tmp_path: Path) -> None:
    good, bad = tmp_path / "ETHUSDT-1m.parquet", tmp_path / "BTCUSDT-1m.csv"
    shutil.copy(CANDLES / "ETHUSDT-1m.parquet", good)
    bad.write_text("ts,open,high,low,close,volume\n1746403200000,1,2,0.5,1,x\n", encoding="utf-8")

    text = run("check", tmp_path, code=1)

    assert f"{bad}, row 1 (line 2), column volume: 'x' is no number" in text
    assert f"fine {good}" in text


def test_list_lineage_names_the_source_of_one_bar(lake: Path, tmp_path: Path) -> None:
    """Two files, one bar: the second one brought it."""
    run("import", part(tmp_path / "BTCUSDT-1m.parquet", 0, 100), "--venue", "binance", "--lake", lake)
    second = tmp_path / "second"
    second.mkdir()
    run("import", part(second / "BTCUSDT-1m.parquet", 90, 100), "--venue", "binance", "--lake", lake)

    rows = ask("list", "--lineage", "--at", "2025-05-05T02:00", "--lake", lake)
    text = run("list", "--lineage", "--lake", lake)

    assert [entry["source"] for entry in rows[0]["lineage"]] == [str(second / "BTCUSDT-1m.parquet")]
    assert text.count("by `omega") == 2


def test_import_of_a_nameless_file_takes_symbol_and_timeframe(lake: Path, tmp_path: Path) -> None:
    path = part(tmp_path / "candles.parquet", 0, 100)

    done = ask("import", path, "--venue", "x", "--symbol", "BTCUSDT_PERP", "--timeframe", "1m", "--lake", lake)

    assert done[0]["series"] == "x/BTCUSDT_PERP/1m"


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("list",), ConfigError, "there is no lake at .*name one with --lake"),
        (("resample", "BTCUSDT", "--to", "1h"), ConfigError, "there is no lake at"),
        (("import", "nothing.parquet", "--venue", "x"), ConfigError, "no candle file nothing.parquet"),
        (("import", CANDLES, "--venue", "x", "--symbol", "A"), ConfigError, "name one file, 2 are given"),
        (("import", CANDLES / "SOURCES.md", "--venue", "x"), ConfigError, "neither .parquet nor .csv"),
        (("import", CANDLES.parent / "funding", "--venue", "x"), ConfigError, "holds no file SYMBOL-TIMEFRAME"),
        (
            ("import", CANDLES / "BTCUSDT-1m.parquet", "--venue", "x", "--timeframe", "5m"),
            CorruptData,
            "row 2, column ts",
        ),
    ],
)
def test_command_that_cannot_work_says_what_to_do(
    lake: Path, arguments: tuple[object, ...], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        run(*arguments, "--lake", lake)
