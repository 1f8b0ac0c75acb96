"""What an analysis is as JSON, and how registered ones are run: inputs that are missing, parameters, `all`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from omega.analytics.analysis import Analysis, Finding, Input, Mark, MarkKind, Panel, PanelKind, as_json, number
from omega.analytics.context import Context, columns
from omega.analytics.evidence import evidence_of
from omega.analytics.run import ALL, entries, names, needs, run
from omega.domain import MINUTE_NS, Bar, from_iso
from omega.engine.bars import Bars
from omega.errors import ConfigError, CorruptData, Denied
from omega.plugins import analyses, analysis, param, params

BEGIN = from_iso("2025-05-20T00:00:00Z")


def market(n: int = 300) -> Bars:
    rng = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.002, n)))
    before = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(close, before) * 1.001, np.minimum(close, before) * 0.999
    return Bars.of(BEGIN + MINUTE_NS * np.arange(n), before, high, low, close, np.full(n, 3.0))


def context(n: int = 300) -> Context:
    return Context("BTC-USDT.P", "1m", BEGIN + n * MINUTE_NS, market=market(n))


@params
class Knobs:
    length: int = param(3, low=1, high=9, unit="bars", doc="how long")


@pytest.fixture
def counted() -> Iterator[None]:
    """An analysis that a third party has added with one call."""
    analyses.discover()
    before = dict(analyses._entries)

    @analysis("counted", title="Counted", params=Knobs, least=10)
    def counted(given: Context, p: Knobs) -> Analysis:
        figures = (number("length", p.length, "bars"), number("nothing", float("nan")))
        return Analysis(
            "counted", given.symbol, given.timeframe, given.now_ns, given.bars.n, "Counted.", numbers=figures
        )

    yield
    analyses._entries = before


@pytest.mark.req("1.98")
def test_analysis_registered_with_one_call_is_named_and_run(counted: None) -> None:
    [made] = run("counted", context(), {"length": "5"})

    assert "counted" in names()
    assert made.numbers[0].value == 5
    assert made.numbers[1].value is None
    assert made.bars == 300


def test_run_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"there is no 'structur'.*did you mean 'structure'"):
        entries("structur")


@pytest.mark.parametrize(
    ("values", "words"), [({"length": "0"}, "lies outside 1 to 9"), ({"lenght": "4"}, "did you mean 'length'")]
)
def test_run_wrong_parameter_is_refused(values: dict[str, object], words: str, counted: None) -> None:
    with pytest.raises(ConfigError, match=words):
        run("counted", context(), values)


def test_run_too_few_bars_are_refused_with_their_number(counted: None) -> None:
    with pytest.raises(Denied, match=r"wants 10 bars at least, BTC-USDT\.P 1m has 9"):
        run("counted", context(9))


@pytest.mark.parametrize(("name", "words"), [("position", "open positions"), ("performance", "round trips")])
def test_run_without_a_farm_says_what_to_ask(name: str, words: str) -> None:
    with pytest.raises(Denied, match=f"{words}.*--live"):
        run(name, context())


def test_run_all_makes_what_it_can_and_says_what_it_leaves_out(counted: None) -> None:
    made = run(ALL, Context("BTC-USDT.P", "1m", BEGIN + 50 * MINUTE_NS, market=market(50)), {"length": 4, "horizon": 3})

    assert [one.analysis for one in made] == ["counted"]
    assert made[0].numbers[0].value == 4
    told = " ".join(made[0].caveats)
    assert all(f"{name} is left out" in told for name in ("fib", "trend", "position", "performance"))


def test_needs_are_those_of_every_analysis_behind_a_name() -> None:
    assert needs("risk") == {"bars", "books"}
    assert needs(ALL) >= {"bars", "books", "trades", "ticks"}


@pytest.mark.req("1.98")
def test_every_analysis_is_described_and_named_in_the_issue() -> None:
    assert {"fib", "patterns", "structure", "trend", "levels", "risk", "position", "performance", "integrity"} <= set(
        names()
    )
    for entry in entries(ALL):
        assert entry.title
        assert entry.doc.endswith(".")
        assert {*entry.needs, *entry.uses} <= {"bars", "books", "trades", "ticks"}


def test_naming_analyses_loads_no_numerics() -> None:
    """Discord and the service list analyses without numpy, numba or matplotlib in their process."""
    code = (
        "import sys; from omega.analytics.run import names; names(); "
        "print([m for m in ('numpy', 'numba', 'scipy', 'sklearn', 'talib', 'matplotlib') if m in sys.modules])"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert told.stdout.strip() == "[]"


def test_as_json_is_json_with_instants_in_words_and_drawings_on_demand() -> None:
    mark = Mark(MarkKind.LEVEL, ((BEGIN, 1.0),), "a level")
    found = Finding(
        "swing", BEGIN, "a swing", "long", (number("size", float("inf")),), evidence_of("x", "long"), (mark,)
    )
    whole = Analysis(
        "fib", "BTC", "1m", BEGIN, 3, "said", (found,), inputs=(Input("bars", "here", BEGIN, 2.0),),
        panels=(Panel(PanelKind.BARS, "p", ()),),
    )  # fmt: skip

    plain, drawn = as_json(whole), as_json(whole, drawn=True)

    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["as_of"] == "2025-05-20T00:00:00.000Z"
    assert plain["findings"][0]["at"] == plain["as_of"]
    assert plain["findings"][0]["numbers"][0]["value"] is None
    assert plain["findings"][0]["evidence"]["verdict"] == "not measured"
    assert "panels" not in plain
    assert "marks" not in plain["findings"][0]
    assert drawn["findings"][0]["marks"][0]["points"] == [[BEGIN, 1.0]]


def test_columns_are_in_the_order_of_time_without_repeats() -> None:
    rows = [Bar(BEGIN + k * MINUTE_NS, 1.0, 2.0, 0.5, 1.5, 1.0) for k in (2, 0, 1, 1)]

    made = columns(rows)

    assert made.ts.tolist() == [BEGIN, BEGIN + MINUTE_NS, BEGIN + 2 * MINUTE_NS]


def test_columns_unsound_bar_is_refused() -> None:
    with pytest.raises(CorruptData, match="open or close lies outside"):
        columns([Bar(BEGIN, 1.0, 1.2, 0.5, 1.5, 1.0)])
