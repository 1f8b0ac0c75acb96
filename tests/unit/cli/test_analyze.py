"""`omega analyze` over recorded candles: the answer for people and for programs, the picture, and every refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from omega.cli.analyze import _analyses
from omega.cli.app import build
from omega.errors import ConfigError, Denied, EnvironmentFault, OmegaError

RUNNER = CliRunner()
CANDLES = Path(__file__).parents[3] / "data" / "candles"
BTC = str(CANDLES / "BTCUSDT-1m.parquet")


def analyze(*arguments: str) -> str:
    told = RUNNER.invoke(build("analyze"), ["analyze", *arguments])
    if told.exception is not None and not isinstance(told.exception, SystemExit):
        raise told.exception
    assert told.exit_code == 0, told.output
    return told.stdout


@pytest.mark.req("2.56", "1.98")
def test_analyze_json_is_one_object_as_of_the_asked_instant() -> None:
    answer = json.loads(analyze("BTC-USDT.P", "fib", "--data", BTC, "--to", "2025-05-21T03:07:00Z", "--json"))

    [one] = answer["analyses"]
    assert (answer["symbol"], answer["timeframe"], one["analysis"]) == ("BTC-USDT.P", "1m", "fib")
    assert one["as_of"] == "2025-05-21T03:07:00.000Z"
    assert one["bars"] == 2000
    assert one["findings"][0]["name"] == "swing"
    assert all(found["at"] < one["as_of"] for found in one["findings"])


def test_analyze_reads_nothing_later_than_asked() -> None:
    """The same instant with and without a recorded future is the same answer."""
    until = ["--data", BTC, "--bars", "500", "--to", "2025-05-21T00:00:00Z", "--json"]
    whole = json.loads(analyze("BTC-USDT.P", "structure", *until))
    bounded = json.loads(analyze("BTC-USDT.P", "structure", *until, "--from", "2025-05-20T15:40:00Z"))

    assert whole["analyses"] == bounded["analyses"]


@pytest.mark.parametrize("timeframe", ["1h", ""])
def test_analyze_leaves_out_a_bar_that_has_not_closed(timeframe: str, tmp_path: Path) -> None:
    """The bar is recorded whole: what it came to after the asked instant is none of the answer's business."""
    source = BTC
    if not timeframe:
        source = str(tmp_path / "BTCUSDT-1h.csv")
        rows = [f"{1_700_000_000 // 3600 * 3600 + k * 3600},{100 + k % 7},120,90,{101 + k % 5},5" for k in range(200)]
        Path(source).write_text("\n".join(["ts,open,high,low,close,volume", *rows, ""]))
    until = "2025-05-21T03:07:00Z" if timeframe else "2023-11-19T10:30:00Z"
    options = ["--timeframe", timeframe] if timeframe else []
    answer = json.loads(analyze("BTC-USDT.P", "levels", "--data", source, "--to", until, "--json", *options))

    [one] = answer["analyses"]
    assert one["as_of"] == ("2025-05-21T03:00:00.000Z" if timeframe else "2023-11-19T10:00:00.000Z")


def test_analyze_longer_bars_and_peers_come_from_the_folder() -> None:
    options = ("--timeframe", "5m", "--bars", "300", "--peers", "ETH-USDT.P", "--json")
    answer = json.loads(analyze("BTC-USDT.P", "risk", "--data", str(CANDLES), *options))

    [one] = answer["analyses"]
    assert (one["timeframe"], one["bars"]) == ("5m", 300)
    assert any(figure["name"] == "correlation with ETH-USDT.P" for figure in one["numbers"])


def test_analyze_for_people_shows_findings_evidence_and_notes() -> None:
    told = analyze("BTC-USDT.P", "levels", "--data", BTC, "--to", "2025-05-21")

    assert "BTC-USDT.P 1m · levels" in told
    assert "on recorded data" in told
    assert "note" in told
    assert "read" in told


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_analyze_writes_the_picture(theme: str, tmp_path: Path) -> None:
    file = tmp_path / "new" / "btc.png"

    answer = json.loads(
        analyze(
            "BTC-USDT.P", "structure", "--data", BTC, "--bars", "400", "--png", str(file), "--theme", theme, "--json"
        )
    )

    assert answer["file"] == str(file)
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("BTC-USDT.P", "magic"), ConfigError, "there is no 'magic'.*trend, all$"),
        (("BTC-USDT.P", "al"), ConfigError, "did you mean 'all'"),
        (("BTC-USDT.P", "fib", "--set", "multiple"), ConfigError, "is no KEY=VALUE"),
        (("BTC-USDT.P", "fib", "--set", "size=3"), ConfigError, "fib has no parameter size"),
        (("BTC-USDT.P", "fib", "--set", "swings=900"), ConfigError, "lies outside 2 to 50"),
        (("BTC-USDT.P", "fib", "--png", "x.gif"), ConfigError, r"must end in \.png"),
        (("BTC-USDT.P", "fib", "--data", "nowhere", "--png", "/proc/x.png"), EnvironmentFault, "--png /proc/x.png"),
        (("BTC-USDT.P", "fib", "--data", "nowhere", "--png", f"{BTC}/x.png"), EnvironmentFault, "Not a directory"),
        (("BTC-USDT.P", "fib", "--theme", "pink"), ConfigError, "none of dark, light"),
        (("BTC-USDT.P", "fib", "--live", "--data", "x"), ConfigError, "--live reads the running farm"),
        (("BTC-USDT.P", "fib", "--data", "nowhere"), OmegaError, "nowhere"),
        (("DOGE-USDT.P", "fib", "--data", str(CANDLES)), OmegaError, "DOGE"),
        (("BTC-USDT.P", "position", "--data", BTC), Denied, "open positions.*--live"),
        (("BTC-USDT.P", "fib", "--data", BTC, "--bars", "50"), Denied, "wants 100 bars at least"),
        (("BTC-USDT.P", "integrity", "--data", BTC, "--ticks", "nowhere"), ConfigError, "--ticks nowhere is no folder"),
        (("BTC-USDT.P", "integrity", "--data", BTC, "--ticks", "."), ConfigError, "no recording BTCUSDT"),
    ],
)
def test_analyze_refuses_with_words(arguments: tuple[str, ...], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        analyze(*arguments)


def test_analyze_checks_the_picture_first_and_leaves_nothing_when_the_work_fails(tmp_path: Path) -> None:
    """A file that is there keeps its bytes, a folder that is not there is not made."""
    kept = tmp_path / "kept.png"
    kept.write_bytes(b"a picture")

    for file in (kept, tmp_path / "new" / "btc.png"):
        with pytest.raises(OmegaError, match="nowhere"):
            analyze("BTC-USDT.P", "fib", "--data", "nowhere", "--png", str(file))

    assert kept.read_bytes() == b"a picture"
    assert list(tmp_path.iterdir()) == [kept]


def test_analyze_completion_knows_analyses() -> None:
    assert _analyses("p") == ["patterns", "performance", "position"]
    assert "all" in _analyses("")
