"""`read_market`: the same bars by file, folder and lake; ranges, higher bars and funding."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from omega.errors import ConfigError
from omega.storage.lake import Lake, content_hash, import_file, open_candles, read_market, resample

PROJECT = Path(__file__).parents[3]
CANDLES = PROJECT / "data" / "candles"
BTC = CANDLES / "BTCUSDT-1m.parquet"
MINUTE_NS = 60_000_000_000
NOW_NS = 1_760_000_000_000_000_000


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake") / "lake"
    import_file(Lake(root), open_candles(BTC), "binance", command="import", now_ns=NOW_NS)
    return root


def test_market_is_the_same_by_file_folder_and_lake(lake: Path) -> None:
    found = [
        read_market(BTC),
        read_market(CANDLES, "BTCUSDT", "1m"),
        read_market(str(lake), "BTCUSDT", "1m"),
        read_market(Lake(lake), "binance/BTCUSDT"),
    ]

    assert {market.symbol for market in found} == {"BTCUSDT"}
    assert {market.timeframe_ns for market in found} == {MINUTE_NS}
    assert {market.bars.n for market in found} == {43_200}
    assert {market.data_hash for market in found} == {content_hash(open_candles(BTC).read())}


@pytest.mark.parametrize("from_", ["2025-05-20", "2025-05-20T00:00:00Z", 1_747_699_200_000_000_000])
def test_market_range_is_half_open(lake: Path, from_: str | int) -> None:
    for source in (CANDLES, lake):
        bars = read_market(source, "BTCUSDT", "1m", from_, "2025-05-21").bars

        assert bars.n == 1440
        assert int(bars.ts[0]) == 1_747_699_200_000_000_000


def test_market_higher_bars_are_made_of_the_nearest_lower_ones(lake: Path) -> None:
    whole = resample(open_candles(BTC).read(), MINUTE_NS, 240 * MINUTE_NS).bars

    for source in (CANDLES, lake, BTC):
        made = read_market(source, "BTCUSDT", "4h", "2025-05-10T01:00:00Z", "2025-05-12")

        # the first bar that opens in the range is the one of 04:00, the last one that of 20:00
        assert made.bars.n == 11
        row = int(np.searchsorted(whole.ts, made.bars.ts[0]))
        assert made.bars.volume.tolist() == whole.volume[row : row + 11].tolist()
        assert made.timeframe_ns == 240 * MINUTE_NS


def test_market_name_without_its_kind_is_found_when_there_is_one(tmp_path: Path) -> None:
    shutil.copy(BTC, tmp_path / "BTCUSDT_PERP-1m.parquet")

    assert read_market(tmp_path, "BTCUSDT", "1m").symbol == "BTCUSDT"
    assert read_market(tmp_path).symbol == "BTCUSDT_PERP"
    shutil.copy(BTC, tmp_path / "BTCUSDT_OKXPERP-1m.parquet")
    with pytest.raises(ConfigError, match="recorded as BTCUSDT_OKXPERP, BTCUSDT_PERP"):
        read_market(tmp_path, "BTCUSDT", "1m")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("DOGEUSDT", "1m"), "no candles of DOGEUSDT in .*there are BTCUSDT, ETHUSDT"),
        (("", "1m"), "name the symbol: .* holds BTCUSDT, ETHUSDT"),
        (("BTCUSDT", "90s"), "'90s' is no timeframe"),
        (("BTCUSDT", "1m", "2030-01-01"), "holds no bar from 2030-01-01"),
        (("BTCUSDT", "1m", "2025-05-20", "2025-05-20"), "is empty"),
        (("BTCUSDT", "1m", "tomorrow"), "'tomorrow' is no instant"),
        (("BTCUSDT", "1w", "2025-06-01"), "no whole 1w bar"),
    ],
)
def test_market_that_is_not_there_says_what_is(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_market(CANDLES, *arguments)


def test_market_lower_bars_than_recorded_are_refused(shared: Path) -> None:
    with pytest.raises(ConfigError, match=r"no 1m bars can be made in .*XRPUSDT: recorded are 1h, 4h, 1d"):
        read_market(shared / "ohlcv", "XRPUSDT", "1m")


def test_market_funding_lies_inside_the_bars(shared: Path) -> None:
    market = read_market(CANDLES, "BTCUSDT", "1m", "2025-05-20", "2025-05-21", funding=shared / "derivs")

    assert market.funding is not None
    assert [int(ts) // (3600 * 10**9) % 24 for ts in market.funding.ts] == [0, 8, 16]
    again = read_market(CANDLES, "BTCUSDT", "1m", funding=market.funding)
    assert again.funding is market.funding


def test_market_funding_hole_is_reported(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT-8h.csv").write_text("ts,funding_rate\n1747699200000,0.0001\n", encoding="utf-8")

    with capture_logs() as logs:
        market = read_market(CANDLES, "BTCUSDT", "1m", "2025-05-20", "2025-05-21", funding=tmp_path)

    assert market.funding is not None
    assert market.funding.rate.tolist() == [0.0001]
    assert [(line["event"], line["missing"]) for line in logs] == [("funding.instants_missing", 2)]


def test_market_reading_loads_no_pandas_and_no_numba() -> None:
    """Either of them would cost a command more than the reading does."""
    script = (
        "import sys; from omega.storage.lake import read_market; read_market(sys.argv[1], 'BTCUSDT', '5m'); "
        "print(sorted({'pandas', 'numba', 'ccxt', 'pyarrow.dataset'} & set(sys.modules)))"
    )

    command = [sys.executable, "-c", script, str(CANDLES)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120)

    assert done.stdout.strip() == "[]"
