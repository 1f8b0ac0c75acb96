"""What holds for every registered analysis, without a line of test code for a new one: proven on carried candles."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omega.analytics.analysis import Analysis, as_json
from omega.analytics.charts import figure_of
from omega.analytics.context import Books, Context, Held, Record
from omega.analytics.run import entries, names, run
from omega.domain import MINUTE_NS, from_iso
from omega.engine.bars import Bars
from omega.errors import ConfigError, Denied
from omega.params import describe
from omega.storage.lake.read import read_market

DATA = Path(__file__).parents[3] / "data" / "candles"
BEGIN, END = "2025-05-20T00:00:00Z", "2025-05-20T12:00:00Z"
NAMES = [name for name in names() if name != "all"]
QUICK = {"trend": {"model": "ema_slope", "horizon": 5, "folds": 2}}


@cache
def bars(symbol: str) -> Bars:
    return read_market(DATA, symbol, "1m", BEGIN, END).bars


def record(bot: str) -> Record:
    """Ten round trips of a bot, by turns won and lost, as the ledger tells them."""
    begin = from_iso(BEGIN)
    trades = tuple(
        {
            "bot": bot, "symbol": "BTC-USDT.P", "side": "long", "opened_ns": begin + k * 20 * MINUTE_NS,
            "closed_ns": begin + (k * 20 + 10) * MINUTE_NS, "entered": "0.01", "entry": "100000",
            "exit": "100500" if k % 2 else "99800", "gross": "5" if k % 2 else "-2", "fees": "0.6", "funding": "0",
        }
        for k in range(10)
    )  # fmt: skip
    equity = tuple((begin + k * MINUTE_NS, 1000.0 + 3.0 * np.sin(k / 30.0)) for k in range(1, 300))
    return Record(bot, 1000.0, equity, trades)


def context(n: int = 0) -> Context:
    btc, eth = bars("BTCUSDT"), bars("ETHUSDT")
    btc, eth = (btc.prefix(n), eth.prefix(n)) if n else (btc, eth)
    price = float(btc.close[-1])
    held = (
        Held("main", "fib", "BTC-USDT.P", 0.02, price * 0.99, price, price * 0.97),
        Held("main", "trend", "ETH-USDT.P", -0.5, 2500.0, float(eth.close[-1]), 0.0),
    )
    return Context(
        symbol="BTC-USDT.P", timeframe="1m", now_ns=int(btc.ts[-1]) + MINUTE_NS, market=btc, peers={"ETH-USDT.P": eth},
        books=Books(5000.0, held), records=(record("fib"), record("trend")),
    )  # fmt: skip


@cache
def made(name: str) -> Analysis:
    [one] = run(name, context(), QUICK.get(name))
    return one


@pytest.mark.req("1.98", "1.101")
@pytest.mark.parametrize("name", NAMES)
def test_every_analysis_says_something_in_json_with_units_and_ages(name: str) -> None:
    one = made(name)
    plain = as_json(one)

    assert one.analysis == name
    assert one.summary.endswith(".")
    assert one.caveats
    assert one.numbers
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert len(json.dumps(plain)) < 200_000
    for figure in plain["numbers"]:
        assert set(figure) == {"name", "value", "unit"}
        assert figure["name"]


@pytest.mark.parametrize("name", NAMES)
def test_every_analysis_knows_nothing_later_than_its_instant(name: str) -> None:
    one = made(name)
    last = context().now_ns

    assert one.as_of_ns == last
    assert all(found.at_ns <= last for found in one.findings)


def test_performance_of_a_year_is_scaled_by_the_points_of_equity_and_not_by_the_bars_asked_for() -> None:
    [days] = run("performance", replace(context(), market=None, timeframe="1d"))
    minutes = made("performance")

    for name in ("sharpe", "volatility", "days"):
        [one], [other] = ([row.value for row in each.numbers if row.name == name] for each in (days, minutes))
        assert one == other
    assert any("read every 60 s" in words for words in days.caveats)


@pytest.mark.parametrize("name", NAMES)
def test_every_analysis_says_the_same_twice(name: str) -> None:
    [again] = run(name, context(), QUICK.get(name))

    assert as_json(again, drawn=True) == as_json(made(name), drawn=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_analysis_has_its_picture(name: str) -> None:
    figure = figure_of([made(name)], context(), theme="light")
    figure.canvas.draw()

    assert figure.axes
    assert 1.0 < figure.get_figheight() < 12.0
    for axes in figure.axes:
        place = axes.get_position()
        assert 0.0 <= place.y0 < place.y1 <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_every_analysis_refuses_what_it_cannot_do_with_words(name: str) -> None:
    [entry] = entries(name)
    with pytest.raises(ConfigError, match="unknown parameter"):
        run(name, context(), {"nonsense": 1})
    for spec in describe(entry.params):
        if spec.high is not None:
            with pytest.raises(ConfigError, match="lies outside"):
                run(name, context(), {spec.name: spec.high * 10 + 1})
    if entry.least:
        with pytest.raises(Denied, match=f"wants {entry.least} bars at least"):
            run(name, context(entry.least - 1))
        few: dict[str, Any] = {"horizon": 1, **{k: v for k, v in QUICK.get(name, {}).items() if k != "horizon"}}
        known = {spec.name for spec in describe(entry.params)}
        assert run(name, context(entry.least), {key: value for key, value in few.items() if key in known})


@pytest.mark.parametrize("name", ["patterns", "structure", "levels"])
def test_every_call_carries_what_such_calls_were_worth(name: str) -> None:
    """Calls that take a side have a measured row; those of no side, and bare levels, have none."""
    calls = [found for found in made(name).findings if found.direction]

    assert calls
    assert all(found.evidence is not None for found in calls)
    measured = [found.evidence for found in calls if found.evidence and found.evidence.n]
    assert measured
    assert all(row.low <= row.rate <= row.high for row in measured)
