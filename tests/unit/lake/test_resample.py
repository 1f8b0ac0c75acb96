"""Higher bars: the exchange's own, marked where a gap runs through them, absent where nothing is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from omega.engine import Bars
from omega.errors import ConfigError
from omega.storage.lake import open_candles, resample

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
WEEK_NS = 7 * DAY_NS
START_NS = 1_746_403_200_000_000_000
FIELDS = ("open", "high", "low", "close", "volume")


def minutes(numbers: Iterator[int] | range | list[int]) -> Bars:
    """Bars whose values tell their minute."""
    k = np.array(list(numbers), dtype=np.float64)
    return Bars.of(START_NS + k.astype(np.int64) * MINUTE_NS, 100 + k, 102 + k, 99 + k, 101 + k, k / 10)


def equal_bars(lower: Path, higher: Path) -> tuple[int, int, int]:
    """How many higher bars can be made, how many of those are recorded, and how many of these are equal."""
    source, listed = open_candles(lower), open_candles(higher)
    recorded = listed.read()
    made = resample(source.read(), source.timeframe_ns, listed.timeframe_ns).bars
    _, ours, theirs = np.intersect1d(made.ts, recorded.ts, return_indices=True)
    same = np.ones(len(ours), dtype=np.bool_)
    for name in FIELDS:
        same &= getattr(made, name)[ours] == getattr(recorded, name)[theirs]
    return made.n, len(ours), int(same.sum())


@pytest.mark.parametrize(
    ("lower", "higher", "bars"),
    [
        ("BTCUSDT-1m", "BTCUSDT-1h", 10_919),
        ("ETHUSDT-1m", "ETHUSDT-1h", 10_919),
        ("BTCUSDT-1m", "BTCUSDT-15m", 43_675),
        ("BTCUSDT-15m", "BTCUSDT-1h", 21_767),
        ("XRPUSDT-4h", "XRPUSDT-1d", 2_614),
    ],
)
def test_resample_equals_the_exchanges_own_higher_bars(shared: Path, lower: str, higher: str, bars: int) -> None:
    """Every bar in every value to the last bit, volumes and the hour of the halt included."""
    made, common, equal = equal_bars(shared / "ohlcv" / f"{lower}.parquet", shared / "ohlcv" / f"{higher}.parquet")

    assert (made, common, equal) == (bars, bars, bars)


def test_resample_takes_open_high_low_close_and_sum() -> None:
    made = resample(minutes(range(15)), MINUTE_NS, 5 * MINUTE_NS)

    assert made.bars.ts.tolist() == [START_NS, START_NS + 5 * MINUTE_NS, START_NS + 10 * MINUTE_NS]
    assert made.bars.open.tolist() == [100, 105, 110]
    assert made.bars.high.tolist() == [106, 111, 116]
    assert made.bars.low.tolist() == [99, 104, 109]
    assert made.bars.close.tolist() == [105, 110, 115]
    assert made.bars.volume.tolist() == [1.0, 3.5, 6.0]
    assert not made.partial.any()


def test_resample_gap_inside_a_bucket_is_marked() -> None:
    made = resample(minutes([*range(7), 9, *range(10, 15)]), MINUTE_NS, 5 * MINUTE_NS)

    assert made.partial.tolist() == [False, True, False]
    assert made.parts.tolist() == [5, 3, 5]


def test_resample_empty_bucket_stays_a_gap() -> None:
    made = resample(minutes([*range(5), *range(10, 15)]), MINUTE_NS, 5 * MINUTE_NS)

    assert made.bars.ts.tolist() == [START_NS, START_NS + 10 * MINUTE_NS]


def test_resample_ragged_ends_are_left_out() -> None:
    made = resample(minutes(range(2, 18)), MINUTE_NS, 5 * MINUTE_NS)

    assert made.bars.ts.tolist() == [START_NS + 5 * MINUTE_NS, START_NS + 10 * MINUTE_NS]
    assert made.dropped == 6


def test_resample_less_than_a_bucket_gives_nothing() -> None:
    made = resample(minutes(range(1, 4)), MINUTE_NS, 5 * MINUTE_NS)

    assert (made.bars.n, made.dropped) == (0, 3)


def test_resample_weeks_open_on_monday() -> None:
    days = Bars.of(START_NS + np.arange(21) * DAY_NS, *([np.ones(21)] * 5))

    made = resample(days, DAY_NS, WEEK_NS)

    # 2025-05-05, where the days begin, is a Monday
    assert made.bars.ts.tolist() == [START_NS, START_NS + WEEK_NS, START_NS + 2 * WEEK_NS]


def test_resample_volume_is_the_sum_of_the_decimals() -> None:
    """0.1 and 0.2 make 0.3, as the exchange prints it; added as floats they do not."""
    bars = minutes(range(2))
    tenths = Bars(bars.ts, bars.open, bars.high, bars.low, bars.close, np.array([0.1, 0.2]))

    assert resample(tenths, MINUTE_NS, 2 * MINUTE_NS).bars.volume.tolist() == [0.3]


def test_resample_volume_without_decimals_is_added_as_it_is() -> None:
    bars = minutes(range(5))
    odd = Bars(bars.ts, bars.open, bars.high, bars.low, bars.close, np.full(5, 1 / 3))

    assert resample(odd, MINUTE_NS, 5 * MINUTE_NS).bars.volume.tolist() == pytest.approx([5 / 3], rel=1e-15)


@pytest.mark.parametrize(("lower", "higher"), [(5, 1), (5, 7), (2, 3)])
def test_resample_of_no_multiple_is_refused(lower: int, higher: int) -> None:
    with pytest.raises(ConfigError, match=f"{higher}m bars cannot be made of {lower}m bars"):
        resample(minutes(range(10)), lower * MINUTE_NS, higher * MINUTE_NS)
