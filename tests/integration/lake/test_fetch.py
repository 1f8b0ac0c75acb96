"""`omega data fetch` against the simulator as its own process, over HTTP, through an unmodified ccxt."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stamina
from typer.testing import CliRunner

from omega.cli.data import app
from omega.domain.time import from_iso
from omega.engine import Bars
from omega.errors import ConfigError, TransientError
from omega.storage.lake import Lake, Origin, Series, open_candles, read_market
from omega.storage.lake.fetch import fetch
from omega.storage.lake.files import between
from omega.storage.lake.history import ccxt_history

CANDLES = Path(__file__).parents[3] / "data" / "candles"
MINUTE_NS = 60_000_000_000
FROM_NS = 1_746_489_600_000_000_000
"""2025-05-06T00:00."""
SERIES = Series("bitget", "BTCUSDT_PERP", MINUTE_NS)


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def fetched(venue: Any, lake: Path, *more: str) -> dict[str, Any]:
    code, text = run("fetch", "bitget", "BTCUSDT", "--rest-url", venue.url, "--lake", str(lake), "--json", *more)
    assert code == 0
    answer: dict[str, Any] = json.loads(text)
    return answer


def recorded(from_ns: int, to_ns: int) -> Bars:
    """The candles that the simulator replays; it prints volumes with four decimals."""
    bars = between(open_candles(CANDLES / "BTCUSDT-1m.parquet").read(), from_ns, to_ns)
    return Bars(bars.ts, bars.open, bars.high, bars.low, bars.close, np.round(bars.volume, 4))


@pytest.mark.req("2.09")
def test_fetch_brings_every_closed_bar_and_never_the_open_one(venue: Any, tmp_path: Path) -> None:
    """Twice while the clock runs: a bar that was taken while it was open would differ from the record."""
    lake = tmp_path / "lake"
    first = fetched(venue, lake, "--from", "2025-05-06")
    later = first
    end = time.monotonic() + 60
    while later["to"] == first["to"]:
        assert time.monotonic() < end, "the venue's clock stands still"
        time.sleep(0.3)
        later = fetched(venue, lake, "--from", "2025-05-06")

    assert (first["series"], first["resumed"]) == (str(SERIES), False)
    assert first["added"] >= 1439
    assert (later["resumed"], later["pages"]) == (True, 1)
    bars = read_market(lake, "BTCUSDT", "1m").bars
    truth = recorded(FROM_NS, from_iso(later["to"]))
    assert bars.ts.tolist() == truth.ts.tolist()
    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(bars, name).tolist() == getattr(truth, name).tolist()
    entry = Lake(lake).years(SERIES)[2025].lineage[0]
    assert entry.origin.source == "bitget BTC/USDT:USDT 1m REST"
    assert entry.origin.steps == ("fetch",)


def test_fetch_again_asks_for_nothing_and_what_lies_before_is_added(venue: Any, tmp_path: Path) -> None:
    lake, to = tmp_path / "lake", ("--to", "2025-05-06T23:00")
    first = fetched(venue, lake, "--from", "2025-05-06T20:00", *to)

    again = fetched(venue, lake, "--from", "2025-05-06T20:00", *to)
    earlier = fetched(venue, lake, "--from", "2025-05-06T19:00", *to)

    assert (first["pages"], first["added"]) == (1, 180)
    assert (again["pages"], again["added"], again["resumed"]) == (0, 0, True)
    assert (earlier["pages"], earlier["added"]) == (1, 60)


def test_fetch_of_higher_bars_equals_the_lakes_own(venue: Any, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    fetched(venue, lake, "--from", "2025-05-06", "--to", "2025-05-06T12:00")
    fetched(venue, lake, "--from", "2025-05-06", "--timeframe", "1h")

    code, text = run("check", str(lake), "--json")

    assert code == 0, text
    assert [item["timeframe"] for item in json.loads(text)] == ["1m", "1h"]


class Broken:
    """A venue's history whose line breaks after some pages, and one that cuts pages at their head."""

    def __init__(self, history: Any, *, breaks_after: int = 1 << 30, page_rows: int = 100) -> None:
        self._history = history
        self._left = breaks_after
        self.venue, self.symbol = history.venue, history.symbol
        self.timeframe_ns, self.source, self.page_rows = history.timeframe_ns, history.source, page_rows
        self.newest_ns = history.newest_ns

    def page(self, from_ns: int, rows: int) -> Bars:
        """Answer as the venue does, until the line breaks."""
        if not self._left:
            raise TransientError("the line broke")
        self._left -= 1
        bars: Bars = self._history.page(from_ns, rows)
        return bars


class Cutting(Broken):
    """Keeps the last forty rows of every page, as a venue does whose limit is lower than was asked for."""

    def page(self, from_ns: int, rows: int) -> Bars:
        """Answer the end of the page."""
        bars = super().page(from_ns, rows)
        return bars.since(max(0, bars.n - 40))


@pytest.fixture
def history(venue: Any) -> Iterator[Any]:
    with ccxt_history("bitget", "BTC/USDT:USDT", MINUTE_NS, rest_url=venue.url) as found:
        yield found


def pull(history: Any, lake: Lake, minutes: int, commit_rows: int = 20_000) -> Any:
    end_ns = FROM_NS + minutes * MINUTE_NS
    return fetch(history, lake, FROM_NS, end_ns, command="", clock=lambda: 1, commit_rows=commit_rows)


def test_fetch_broken_on_the_way_keeps_what_came_and_resumes(history: Any, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")

    with pytest.raises(TransientError, match="the line broke"):
        pull(Broken(history, breaks_after=3), lake, 600)
    assert lake.read(SERIES).n == 300

    done = pull(Broken(history), lake, 600)
    assert (done.pages, done.added, done.resumed) == (3, 300, True)
    assert lake.read(SERIES).ts.tolist() == recorded(FROM_NS, FROM_NS + 600 * MINUTE_NS).ts.tolist()


def test_fetch_commits_on_the_way(history: Any, tmp_path: Path) -> None:
    """What a kill can cost is bounded."""
    lake, seen = Lake(tmp_path / "lake"), []

    class Watching(Broken):
        def page(self, from_ns: int, rows: int) -> Bars:
            seen.append(lake.read(SERIES).n if lake.series() else 0)
            return super().page(from_ns, rows)

    pull(Watching(history), lake, 500, commit_rows=200)

    assert seen == [0, 0, 200, 200, 400]


def test_fetch_page_cut_at_its_head_is_asked_for_again(history: Any, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")

    pull(Cutting(history), lake, 250)

    assert lake.read(SERIES).ts.tolist() == recorded(FROM_NS, FROM_NS + 250 * MINUTE_NS).ts.tolist()


def test_fetch_stretch_without_bars_is_a_gap_and_not_asked_twice(history: Any, tmp_path: Path) -> None:
    """The simulator's record begins at 2025-05-05."""
    lake = Lake(tmp_path / "lake")
    start_ns, end_ns = FROM_NS - 1740 * MINUTE_NS, FROM_NS - 1400 * MINUTE_NS

    first = fetch(Broken(history), lake, start_ns, end_ns, command="", clock=lambda: 1)
    again = fetch(Broken(history), lake, start_ns, end_ns, command="", clock=lambda: 1)

    assert (first.added, again.pages) == (40, 0)
    assert lake.read(SERIES).ts[0] == FROM_NS - 1440 * MINUTE_NS


def test_fetch_leaves_recorded_bars_alone(history: Any, tmp_path: Path) -> None:
    """What is recorded is not asked for: the bar stays as it was, everything around it comes from the venue."""
    lake = Lake(tmp_path / "lake")
    truth = recorded(FROM_NS + 50 * MINUTE_NS, FROM_NS + 51 * MINUTE_NS)
    known = Bars(truth.ts, truth.open, truth.high, truth.low, truth.close, truth.volume + 1.0)
    with lake.writer(SERIES) as writer:
        writer.put([known], Origin("a file", "", ("import",), "", 1))
        writer.commit()

    done = pull(Broken(history), lake, 100)

    assert (done.added, done.resumed) == (99, True)
    assert lake.read(SERIES).volume[50] == known.volume[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere", "BTCUSDT"), "ccxt knows no exchange 'nowhere'"),
        (("bitget", "NOSUCH"), "bitget has no swap markets NOSUCH"),
        (("bitget", "BTCUSDT", "--timeframe", "7m"), "bitget has no 7m bars: choose one of 1m"),
    ],
)
def test_fetch_of_what_is_not_there_says_so(venue: Any, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    more = ("--from", "2025-05-06", "--rest-url", venue.url, "--lake", str(tmp_path))

    with pytest.raises(ConfigError, match=says):
        run("fetch", *arguments, *more)


def test_fetch_from_a_venue_that_is_away_says_that_it_can_go_on(tmp_path: Path) -> None:
    away = ("--rest-url", "http://127.0.0.1:9", "--lake", str(tmp_path))

    with stamina.set_testing(True, attempts=2), pytest.raises(TransientError, match="run the same command again"):
        run("fetch", "bitget", "BTCUSDT", "--from", "2025-05-06", *away)


def test_fetch_over_a_server_error_costs_a_retry_and_no_bar(venue: Any, history: Any, tmp_path: Path) -> None:
    venue.call("/faults", "POST", {"what": "http_503", "path": "candles", "times": 2})
    lake = Lake(tmp_path / "lake")

    with stamina.set_testing(True, attempts=4):
        pull(Broken(history), lake, 150)

    assert lake.read(SERIES).n == 150
