"""What a farm is given to replay: whole minutes of every symbol, the venue's funding, bots on symbols of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omega.backtest.checks.farm_run import FUNDING_NS, Stretch, candles_of, read_stretch, venue_funding, venue_name
from omega.backtest.checks.recorded import read_recorded
from omega.backtest.checks.subjects import Subject, apart, subjects
from omega.backtest.types import FundingSeries, Market
from omega.config import Bot
from omega.config.loader import load, project_config
from omega.engine import Bars
from omega.errors import ConfigError, CorruptData
from omega.plugins import strategies

from .conftest import MINUTE, ROOT

BTC, ETH = "BTC-USDT.P", "ETH-USDT.P"
DATA = ROOT / "data"


def test_stretch_holds_the_window_before_and_the_bars_after_its_start() -> None:
    bars, start = read_stretch(Stretch(DATA, None, 0, 100), (BTC, ETH), 500)

    for one in bars.values():
        assert one.n == 500 + 64 + 101
        assert int(one.ts[500 + 64]) == start
        assert set(np.diff(one.ts)) == {MINUTE}


@pytest.mark.parametrize(
    ("from_row", "bars", "says"), [(10, 10, "needs a start at 2025-05-05T09:24"), (43_000, 500, "are missing behind")]
)
def test_stretch_that_the_history_does_not_hold_is_refused(from_row: int, bars: int, says: str, market: Market) -> None:
    first = int(read_stretch(Stretch(DATA, None, 0, 1), (BTC,), 500)[0][BTC].ts[0])

    with pytest.raises(ConfigError, match=says):
        read_stretch(Stretch(DATA, None, first + from_row * MINUTE, bars), (BTC,), 500)


def test_stretch_with_a_gap_names_where_it_is(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(DATA / "candles" / "BTCUSDT-1m.parquet")
    pq.write_table(table.take([*range(700), *range(705, 3_000)]), tmp_path / "BTCUSDT-1m.parquet")

    with pytest.raises(ConfigError, match="first are missing behind 2025-05-05T11:39"):
        read_stretch(Stretch(tmp_path, None, 0, 1_000), (BTC,), 500)


def test_candles_are_found_in_both_kinds_of_folder(tmp_path: Path) -> None:
    assert candles_of(DATA, BTC) == candles_of(DATA / "candles", BTC) == DATA / "candles" / "BTCUSDT-1m.parquet"
    assert candles_of(tmp_path, BTC) == tmp_path
    assert venue_name(BTC) == "BTCUSDT"


def test_funding_is_the_recorded_rate_where_there_is_one(bars: Bars) -> None:
    """The venue settles at every instant: what no file records, at its default rate."""
    plain = venue_funding(None, 0.0001, bars)
    instants = plain.ts[[1, 3]] + 17  # a venue stamps a little late
    made = venue_funding(FundingSeries(instants, np.array([-0.0002, 0.0005])), 0.0001, bars)

    assert set(np.diff(plain.ts)) == {FUNDING_NS}
    assert plain.ts[0] > bars.ts[0]
    assert np.array_equal(made.ts, plain.ts)
    assert made.rate[:4].tolist() == [0.0001, -0.0002, 0.0001, 0.0005]


def test_bots_of_one_symbol_get_farms_of_their_own() -> None:
    strategies.discover()
    entry = strategies.get("ema_cross")
    bots = [
        Subject(name, Bot(strategy="ema_cross", symbol=symbol), entry, entry.params())
        for name, symbol in (("a", BTC), ("b", ETH), ("c", BTC), ("d", ETH), ("e", BTC))
    ]

    assert [[one.name for one in group] for group in apart(bots)] == [["a", "b"], ["c", "d"], ["e"]]


def test_subjects_all_means_every_bot_and_every_strategy_without_one() -> None:
    settings = load(config_dir=project_config(), environ={}).settings
    fewer = settings.model_copy(update={"bots": {"one": settings.bots["fib-btc"]}})

    names = [one.name for one in subjects(fewer, "all")]
    trading = subjects(settings, "all", trading=True)

    assert set(names) == {"one", *strategies.names()} - {"strategic_fibonacci"}
    assert not any(one.entry.read_only for one in trading)


def test_subjects_by_strategy_is_the_bot_that_runs_it() -> None:
    settings = load(config_dir=project_config(), environ={}).settings

    (found,) = subjects(settings, "ema_cross", symbol=ETH)

    assert (found.name, found.plan.symbol, found.entry.name) == ("ema-btc", ETH, "ema_cross")


@pytest.mark.parametrize(("text", "says"), [("nobody", "no bot and no strategy 'nobody'"), (" , ", "name a bot")])
def test_subjects_unknown_name_is_refused_with_those_there_are(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        subjects(load(config_dir=project_config(), environ={}).settings, text)


def test_subjects_read_only_bot_has_no_trade_to_compare() -> None:
    with pytest.raises(ConfigError, match="only reads"):
        subjects(load(config_dir=project_config(), environ={}).settings, "positions", trading=True)


START = (
    '{"saw":"start","is":{"format":1,"charter":{"bot":"a","timeframe":"1m"},"instrument":{"symbol":"BTC-USDT.P",'
    '"venue":"bitget","venue_symbol":"BTC/USDT:USDT","base":"BTC","quote":"USDT","kind":"swap","price_step":"0.1",'
    '"size_step":"0.0001","min_size":"0.0001","min_notional":"5","max_leverage":125,"maker_fee":"0.0002",'
    '"taker_fee":"0.0006","maintenance":"0.004"},"state":STATE,"code":""},"intents":[],"decision":"","chain":""}\n'
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no decision"),
        ("{\n", "line 1 is no JSON"),
        ("[]\n", "line 1 is no line of a session"),
        ('{"saw":"told","is":{},"intents":[],"decision":""}\n', "does not begin with a start"),
        (START.replace("STATE", '"{}"'), "begins with a saved state"),
        (START.replace("STATE", '""'), "holds no decision"),
        (
            START.replace("STATE", '""') + '{"saw":"closed","is":{"bar":{}},"intents":[],"decision":""}\n',
            "line 2, closed.ts_ns",
        ),
    ],
)
def test_recorded_file_that_cannot_be_compared_says_why(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.session.jsonl"
    path.write_text(text)

    with pytest.raises(CorruptData, match=says):
        read_recorded(path)


def test_recorded_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the session"):
        read_recorded(tmp_path / "none")


def test_stretch_of_a_market_is_cut_from_any_source(market: Market, tmp_path: Path) -> None:
    """A single file of another name serves as well."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    one = market.bars
    names = ("open", "high", "low", "close", "volume")
    table = pa.table({"ts": one.ts // 1_000_000} | {name: getattr(one, name) for name in names})
    pq.write_table(table, tmp_path / "BTCUSDT-1m.parquet")

    bars, _ = read_stretch(Stretch(tmp_path / "BTCUSDT-1m.parquet", None, 0, 50), (BTC,), 500)

    assert np.array_equal(bars[BTC].close, one.close[:615])
    assert replace(market, bars=bars[BTC]).bars.n == 615
