"""The page and the picture of a result: whole, self-contained, safe, small, and right in every state of a result."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from omega.backtest.metrics import holding, metrics
from omega.backtest.report import GROUPS, cautions, document, page, png, story, write_html, write_png, written
from omega.backtest.report.axes import Scale, Span
from omega.backtest.report.shrink import extremes, ranges
from omega.backtest.report.tables import MOST_ROWS, months, months_table
from omega.backtest.report.words import duration, money, percent, price, timeframe
from omega.backtest.types import ExitKind
from omega.errors import ConfigError, EnvironmentFault

from .made_results import DAY_NS, HOUR_NS, MINUTE_NS, START_NS, bars_of, market_of, result_of, traded, walk

VOID = {"meta", "input", "br", "path", "img"}


class _Reader(HTMLParser):
    """Reads a page strictly: every element that opens is closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.styles: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "srcset"}]
        self.styles |= set((named.get("class") or "").split())
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


# ---- the page


@pytest.fixture(scope="module")
def shown() -> _Reader:
    result, markets = traded(6_000)
    return read(page(result, markets, command="omega backtest made", whole_list="trades.parquet"))


def test_page_holds_every_part_of_a_report(shown: _Reader) -> None:
    for part in ("Equity", "Under water", "price, entries and exits", "best trade", "worst trade", "last trades",
                 "Months", "Return of each day", "Returns of the round trips", "How far it went", "Every figure",
                 "To run it again", "omega backtest made", "data hash", "ab" * 32, "holding"):  # fmt: skip
        assert part in shown.text, part


def test_page_shows_every_figure_with_label_meaning_and_value() -> None:
    result, markets = traded(6_000)
    figures = metrics(result, holding(markets, result))

    text = read(page(result, markets)).text

    for words in GROUPS.values():
        for word in words:
            assert f"{word.label} {word.says}" in text, word.name
            assert written(word.name, figures[word.name]) in text, word.name


def test_page_needs_nothing_from_elsewhere(shown: _Reader) -> None:
    result, markets = traded(600)
    html = page(result, markets)

    assert shown.addresses == []
    assert not re.search(r"https?://|@import|url\(|<link|<img|<iframe", html)


def test_page_serves_light_and_dark_and_small_screens() -> None:
    html = page(*traded(600))

    assert "prefers-color-scheme:dark" in html
    assert 'name="viewport"' in html
    assert "@media (max-width:760px)" in html


def test_page_styles_that_charts_use_are_declared(shown: _Reader) -> None:
    """A class without a rule is a line that nobody sees."""
    sheet = document("", "", "", "").split("<style>")[1].split("</style>")[0]

    drawn = {"own", "hold", "deep", "range", "up", "down", "wick", "trip", "exit", "dot", "gain", "loss", "m", "long",
             "yt", "xt", "grid", "rule", "tile", "card", "months", "trades", "figures", "settings", "pane"}  # fmt: skip
    assert {style for style in shown.styles & drawn if f".{style}" not in sheet} == set()
    assert drawn - {"down", "range"} <= shown.styles


def test_page_of_hostile_names_stays_a_page() -> None:
    bad = "</script><script>alert(1)</script>"
    result, markets = traded(400)
    hostile = dataclasses.replace(result, strategy=bad, params={bad: bad}, symbols=(bad,), settings={bad: {bad: bad}})

    market = dataclasses.replace(markets[0], symbol=bad)

    html = page(hostile, [market], command=bad, whole_list=bad, doubts=[bad])

    assert "alert(1)</script>" not in html
    assert html.count("<script") == 2
    assert bad in read(html).text


def test_page_curves_under_the_pointer_are_sound_json() -> None:
    html = page(*traded(3_000))
    data = json.loads(html.split('id="curves">')[1].split("</script>")[0])

    assert set(data) == {"time", "equity", "under", "hold"}
    assert len({len(column) for column in data.values()}) == 1
    assert data["time"] == sorted(data["time"])
    assert max(data["under"]) <= 0.0


def test_page_of_a_year_of_minutes_stays_below_a_megabyte_and_a_half() -> None:
    """Half a million bars and ten thousand trades; curves are thinned, lists cut."""
    n, m = 525_600, 9_773
    prices, rng = walk(n), np.random.default_rng(5)
    entry = np.sort(rng.integers(0, n - 60, m))
    rows = [
        {"entry_row": int(e), "exit_row": int(e) + 40, "entry_price": float(prices[e]), "size": 0.1,
         "exit_price": float(prices[e + 40]), "pnl": float(prices[e + 40] - prices[e]) * 0.1, "mae": -0.01, "mfe": 0.01}
        for e in entry
    ]  # fmt: skip
    result = result_of(1e4 * prices / prices[0], trades=rows, timeframe_ns=MINUTE_NS, capital=1e4, held=np.ones(n))

    html = page(result, [market_of(prices)])

    assert len(html.encode()) < 1_500_000
    assert html.count("<tr><td") == MOST_ROWS
    assert f"The {MOST_ROWS} of {m:,} legs that moved the account most" in html


@pytest.mark.parametrize("bars", [1, 2, 3])
def test_page_without_trades_and_of_few_bars_says_so(bars: int) -> None:
    prices = walk(bars)
    result = result_of(np.full(bars, 100.0), timeframe_ns=MINUTE_NS)

    reader = read(page(result, [market_of(prices)]))

    assert "It never traded" in reader.text
    assert "nan" not in reader.text.lower().split()


def test_page_without_bars_is_refused_with_the_next_step() -> None:
    with pytest.raises(ConfigError, match="longer history"):
        page(result_of([]), [])


def test_page_of_a_portfolio_draws_each_market() -> None:
    result, markets = traded(1_500, symbols=2)

    text = read(page(result, markets)).text

    assert "M0-USDT.P: price" in text
    assert "M1-USDT.P: price" in text
    assert "symbol" in text


def test_page_of_a_lost_account_is_drawn() -> None:
    result = result_of([50.0, 0.0, 0.0, 0.0], timeframe_ns=MINUTE_NS, final_equity=0.0)

    assert "lost" in story(result, metrics(result))[0] or "never traded" in story(result, metrics(result))[0]
    read(page(result, [market_of(walk(4))]))


def test_write_html_into_a_missing_folder_makes_it(tmp_path: Path) -> None:
    result, markets = traded(300)

    write_html(tmp_path / "new" / "out.html", result, markets)

    assert (tmp_path / "new" / "out.html").read_text().startswith("<!doctype html>")


def test_write_html_where_nothing_can_be_written_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result, markets = traded(300)

    with pytest.raises(EnvironmentFault, match=r"out\.html"):
        write_html(tmp_path / "file" / "out.html", result, markets)


# ---- the picture


def test_png_is_a_picture_of_its_size_with_something_on_it(tmp_path: Path) -> None:
    from matplotlib.image import imread

    result, markets = traded(3_000)
    write_png(tmp_path / "out.png", result, markets)

    pixels = imread(tmp_path / "out.png")

    assert pixels.shape[:2] == (675, 1200)
    assert len(np.unique((pixels[..., :3] * 255).astype(np.uint8).reshape(-1, 3), axis=0)) > 50
    assert (tmp_path / "out.png").stat().st_size < 400_000


def test_png_of_hostile_names_and_no_trades_is_drawn() -> None:
    result = result_of([100.0, 101.0], strategy="$_broken{math", symbols=("_a", "$x$"))

    assert png(result, [market_of(walk(2), timeframe_ns=HOUR_NS)]).startswith(b"\x89PNG")


# ---- what weakens a result


def said(**more: object) -> str:
    trips = [{"pnl": 1.0, "entry_row": k, "exit_row": k + 1} for k in range(40)]
    fields: dict[str, object] = {"trades": trips, "timeframe_ns": 10 * DAY_NS} | more
    result = result_of(np.linspace(100.0, 140.0, 42), **fields)
    return " ".join(cautions(result, metrics(result)))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"trades": []}, "never traded"),
        ({"trades": [{"pnl": 40.0}]}, "Only 1 round trip:"),
        ({"timeframe_ns": HOUR_NS}, "Only 2 days of history"),
        ({"fees": 30.0}, "Fees eat 42.9 %"),
        ({"final_equity": 110.0, "fees": -10.0}, "loses even before fees"),
        ({"final_equity": 90.0, "fees": 30.0}, "Fees eat all of its profit"),
        ({"params": {"stop_pct": 0.0}}, "without a stop (stop_pct = 0)"),
        ({}, "No trade ended at a stop"),
        ({}, "No slippage was charged"),
    ],
)
def test_cautions_name_what_weakens_the_result(more: dict[str, object], words: str) -> None:
    assert words in said(**more)


def test_cautions_tell_of_liquidations_open_ends_and_lone_winners() -> None:
    trips: list[dict[str, object]] = [{"pnl": 0.1, "entry_row": k, "exit_row": k + 1} for k in range(38)]
    trips.append({"pnl": 36.2, "entry_row": 38, "exit_row": 39, "exit_kind": int(ExitKind.END)})
    trips.append({"pnl": 0.0, "entry_row": 39, "exit_row": 40, "exit_kind": int(ExitKind.LIQUIDATION)})

    text = said(trades=trips)

    assert "liquidated 1 of its legs" in text
    assert "1 leg was still open" in text
    assert "One round trip made 90.5 %" in text


def test_cautions_of_stops_that_worked_say_nothing_of_stops() -> None:
    trips = [{"pnl": 1.0, "entry_row": k, "exit_row": k + 1, "exit_kind": int(ExitKind.STOP)} for k in range(40)]

    assert "stop" not in said(trades=trips)


def test_story_compares_with_holding_in_points() -> None:
    result, markets = traded(3_000)
    figures = metrics(result, holding(markets, result))

    told = " ".join(story(result, figures))

    assert percent(abs(figures["roi"])) in told
    assert f"{abs(figures['roi'] - figures['hold_roi']) * 100:,.1f} points" in told


# ---- drawing


def test_extremes_of_a_long_curve_keep_its_highest_and_lowest_row() -> None:
    values = np.cumsum(np.random.default_rng(2).normal(size=100_000))
    where = np.linspace(0.0, 1.0, 100_000)

    rows = extremes(values, where, 500)

    assert len(rows) <= 2_000
    assert (np.diff(rows) > 0).all()
    assert {int(values.argmax()), int(values.argmin()), 0, 99_999} <= set(rows.tolist())


def test_extremes_in_every_column_equal_those_of_all_rows() -> None:
    values, where = np.random.default_rng(4).normal(size=20_000), np.linspace(0.0, 1.0, 20_000)
    column = np.minimum((where * 100).astype(int), 99)

    rows = extremes(values, where, 100)

    for k in range(100):
        kept = values[rows[column[rows] == k]]
        assert (kept.min(), kept.max()) == (values[column == k].min(), values[column == k].max())


def test_ranges_fold_bars_as_a_higher_timeframe_does() -> None:
    bars = bars_of(walk(100))
    where = np.arange(100) / 100.0

    folded = ranges(where, (bars.open, bars.high, bars.low, bars.close), 10)

    assert folded.open.tolist() == bars.open[::10].tolist()
    assert folded.close.tolist() == bars.close[9::10].tolist()
    assert folded.high.tolist() == bars.high.reshape(10, 10).max(axis=1).tolist()
    assert folded.low.tolist() == bars.low.reshape(10, 10).min(axis=1).tolist()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.003, 0.0001), (9_990.0, 10_020.0), (1e-5, 3e-5)])
def test_scale_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = Scale(low, high).ticks()

    assert 2 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)


def test_scale_logarithmic_lays_equal_factors_equally_far() -> None:
    scale = Scale(1.0, 10_000.0, log=True)

    assert scale.at(np.array([1.0, 10.0, 100.0, 10_000.0])) == pytest.approx([0.0, 0.25, 0.5, 1.0])
    assert scale.ticks() == [1.0, 10.0, 100.0, 1_000.0, 10_000.0]


@pytest.mark.parametrize(
    ("length_ns", "first"),
    [
        (HOUR_NS, "00:10"),
        (30 * HOUR_NS, "01 Jan 06:00"),
        (20 * DAY_NS, "02 Jan"),
        (400 * DAY_NS, "Jan 2025"),
        (9_000 * DAY_NS, "2030"),
    ],
)
def test_span_ticks_fit_the_length_of_the_history(length_ns: int, first: str) -> None:
    ticks = Span(START_NS, START_NS + length_ns).ticks()

    assert 2 <= len(ticks) <= 8
    assert all(0.0 <= place <= 1.0 for place, _ in ticks)
    assert any(first in words for _, words in ticks)


def test_months_compound_to_the_whole_return() -> None:
    equity = 100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 500)))
    ts = START_NS + np.arange(500) * DAY_NS

    found = months(ts, equity, 100.0)

    assert list(found)[:2] == [(2025, 1), (2025, 2)]
    assert np.prod([1.0 + value for value in found.values()]) == pytest.approx(equity[-1] / 100.0)
    assert found[2025, 1] == pytest.approx(equity[30] / 100.0 - 1.0)


def test_months_table_adds_up_to_what_the_account_ended_with() -> None:
    """The fee of closing what is open at the end stands in no close of the curve."""
    result = result_of([100.0, 101.0, 102.0], timeframe_ns=MINUTE_NS, capital=100.0, final_equity=50.0)

    assert months_table(result).count("50.0<") == 2


# ---- words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.1234), "12.3 %"),
        (percent(-0.01234, signed=True), "\u22121.23 %"),
        (percent(0.0, signed=True), "0.00 %"),
        (percent(-1e-9), "0.00 %"),
        (percent(12.5), "1,250 %"),
        (money(-1_234.5, signed=True), "\u22121,234.50"),
        (money(2_345_678.9), "2,345,679"),
        (price(103_482.123), "103,482.12"),
        (price(0.012345), "0.012345"),
        (duration(1 / 48), "30 min"),
        (duration(1.5), "36.0 h"),
        (duration(400.25), "400.2 days"),
        (timeframe(MINUTE_NS), "1m"),
        (timeframe(4 * HOUR_NS), "4h"),
        (timeframe(7 * DAY_NS), "1w"),
        (written("sharpe", float("nan")), "\u2013"),
        (written("mean_leverage", 1.5), "1.50\u00d7"),
    ],
)
def test_words_write_figures_as_people_read_them(text: str, expected: str) -> None:
    assert text == expected
