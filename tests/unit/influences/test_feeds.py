import os
from pathlib import Path

import numpy as np
import pytest

from omega.backtest.feeds import Feed, feeds_in, read_feed
from omega.domain import from_iso
from omega.errors import ConfigError, CorruptData

HOUR_NS = 3_600_000_000_000
SHARED = Path(os.environ.get("OMEGA_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")


def hours(*texts: str) -> np.ndarray:
    return np.array([from_iso(text) for text in texts], dtype=np.int64)


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def ms(text: str) -> int:
    return from_iso(text) // 1_000_000


def test_feed_value_of_a_day_is_known_from_its_midnight_and_a_gap_is_unknown(tmp_path: Path):
    days = [f"{ms(f'2024-01-0{day}T00:00:00Z')},{10 * day}" for day in (1, 2, 4)]
    feed = read_feed(write(tmp_path / "fear-greed-1d.csv", ["ts,value", *days]))

    seen = feed.at(
        hours(
            "2023-12-31T23:00:00Z", "2024-01-01T00:00:00Z", "2024-01-02T23:00:00Z", "2024-01-03T00:00:00Z",
            "2024-01-04T12:00:00Z", "2024-01-05T00:00:00Z",
        )
    )  # fmt: skip

    assert feed.factor == "global_sentiment"
    np.testing.assert_array_equal(seen, [np.nan, 10.0, 20.0, np.nan, 40.0, np.nan])


def test_feed_of_three_hours_is_known_six_hours_after_its_stamp(tmp_path: Path):
    rows = [f"{ms('2024-01-01T00:00:00Z')},5.0,48", f"{ms('2024-01-01T03:00:00Z')},1.0,4"]
    feed = read_feed(write(tmp_path / "kp-ap-3h.csv", ["ts,kp,ap", *rows]))

    seen = feed.at(
        hours("2024-01-01T05:00:00Z", "2024-01-01T06:00:00Z", "2024-01-01T08:00:00Z", "2024-01-01T09:00:00Z")
    )

    assert feed.factor == "geomagnetic_activity"
    np.testing.assert_array_equal(seen, [np.nan, 5.0, 5.0, 1.0])


def test_feed_prefix_gives_the_same_past(tmp_path: Path):
    rng = np.random.default_rng(3)
    ts = np.cumsum(rng.integers(1, 5, 200)) * HOUR_NS
    feed = Feed("tea_leaves", ts, rng.normal(size=200), 2 * HOUR_NS, 3 * HOUR_NS)
    cut = Feed("tea_leaves", ts[:120], feed.value[:120], 2 * HOUR_NS, 3 * HOUR_NS)
    past = np.arange(0, ts[119] + HOUR_NS, HOUR_NS, dtype=np.int64)

    np.testing.assert_array_equal(feed.at(past), cut.at(past))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["1000,abc"], "row 2, column value: 'abc' is no number"),
        (["1000,50", "2000,101"], "row 3, column value: 101.0 lies outside 0 to 100"),
        (["1000,50", "2000,"], "row 3, column value: '' is no number"),
        (["2000,50", "2000,51"], "row 3, column ts: the time does not rise"),
        (["x,50"], "row 2, column ts: 'x' is no number"),
        (["1000,nan"], "row 2, column value: nan lies outside"),
        ([], "length above zero"),
    ],
)
def test_feed_that_is_broken_names_row_and_column(tmp_path: Path, rows: list[str], words: str):
    path = write(tmp_path / "fear-greed-1d.csv", ["ts,value", *rows])

    with pytest.raises(CorruptData, match=words):
        read_feed(path)


def test_feed_of_an_unknown_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="no recorded feed"):
        read_feed(write(tmp_path / "horoscope.csv", ["ts,value"]))
    with pytest.raises(ConfigError, match="no recorded feed"):
        read_feed(tmp_path / "kp-ap-3h.csv")


def test_feeds_of_the_recorded_data_are_found_and_read():
    if not (SHARED / "sentiment").is_dir():
        pytest.skip(f"{SHARED} is absent: set OMEGA_SHARED_DATA to the folder that holds sentiment/ and space/")

    found = {feed.factor: feed for feed in feeds_in(SHARED)}

    assert {name: len(feed.ts) for name, feed in found.items()} == {
        "global_sentiment": 2_703,
        "geomagnetic_activity": 45_280,
    }
    storm = found["geomagnetic_activity"].at(hours("2024-05-11T15:00:00Z"))
    assert storm[0] == 9.0  # the great storm of the morning, six hours after its stamp
