"""What holds for every registered strategy, proven over the registry: a new file is covered without a line here."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from omega.engine import AccountBook, Bars, Book, Settings, Signals, decide
from omega.plugins import describe, json_schema, parse_params, strategies

NAMES = strategies.discover()
TRADING = [name for name in NAMES if not strategies.get(name).read_only]
READ_ONLY = [name for name in NAMES if strategies.get(name).read_only]


def run(name: str, bars: Bars) -> Signals:
    entry = strategies.get(name)
    made: Signals = entry.signals(bars, entry.params())
    return made


def columns(made: Signals) -> dict[str, npt.NDArray[np.generic]]:
    targets = {f"target{i}": target for i, target in enumerate(made.targets)}
    plain = {name: getattr(made, name) for name in ("side", "exit", "stop_distance", "confidence", "reason")}
    return plain | targets


def test_registry_holds_the_five_bots_under_their_file_names():
    assert set(NAMES) >= {"ema_cross", "strategic_fibonacci", "ccxt_trend", "position_analyzer", "trading_analyzer"}
    for name in NAMES:
        assert strategies.where(name).startswith(f"bots.{name}:")


@pytest.mark.req("0.24", "1.10")
@pytest.mark.parametrize("name", NAMES)
def test_strategy_signals_on_a_prefix_equal_the_prefix_of_the_signals(name: str, market: Bars):
    whole = columns(run(name, market))

    for n in [1, 2, 15, 29, 60, *range(500, 10_000, 487)]:
        part = columns(run(name, market.prefix(n)))
        for column, values in part.items():
            assert np.array_equal(values, whole[column][:n]), f"{column} of {name} looks ahead within {n} bars"


@pytest.mark.parametrize("name", NAMES)
def test_strategy_longer_warm_up_changes_nothing(name: str, market: Bars):
    entry = strategies.get(name)
    need, start = entry.warmup(entry.params()), 1_237
    whole = run(name, market)

    part = run(name, market.since(start))

    for column in ("side", "exit"):
        assert np.array_equal(getattr(part, column)[need:], getattr(whole, column)[start + need :])
    entered = np.flatnonzero(part.side[need:]) + need
    for column, values in columns(part).items():
        assert np.allclose(values[entered], columns(whole)[column][entered + start], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_strategy_same_input_gives_the_same_output(name: str, market: Bars):
    first, second = columns(run(name, market)), columns(run(name, market))

    assert all(np.array_equal(first[column], second[column]) for column in first)


@pytest.mark.parametrize("name", NAMES)
def test_strategy_output_on_random_bars_is_finite_and_declared(name: str, make_bars: Callable[[int, int], Bars]):
    entry = strategies.get(name)

    for seed in range(3):
        made = run(name, make_bars(seed, 10_000))
        for column, values in columns(made).items():
            assert np.isfinite(values).all(), f"{column} of {name}"
        assert made.reason.min() >= 0
        assert made.reason.max() < len(entry.reasons)
        assert ((made.confidence >= 0.0) & (made.confidence <= 1.0)).all()


@pytest.mark.parametrize("name", TRADING)
def test_trading_strategy_enters_with_a_stop(name: str, market: Bars):
    made = run(name, market)
    entered = made.side != 0

    assert entered.sum() >= 10
    assert (made.stop_distance[entered] > 0.0).all()
    assert (made.stop_distance[entered] < market.close[entered]).all()


@pytest.mark.parametrize("name", READ_ONLY)
def test_read_only_strategy_asks_for_nothing_and_reports(name: str, market: Bars):
    entry = strategies.get(name)
    made = run(name, market)
    assert entry.report is not None

    report = entry.report(market, AccountBook(balance=1000.0), entry.params())

    assert not made.side.any()
    assert not made.exit.any()
    assert report
    assert all(isinstance(value, str) or np.isfinite(value) for value in report.values())


@pytest.mark.req("0.43", "1.11")
@pytest.mark.parametrize("name", TRADING)
def test_trading_strategy_decisions_stay_within_the_caps(name: str, market: Bars):
    entry = strategies.get(name)
    settings, book, p = Settings(max_leverage=3, risk=0.01), Book.flat(5_000.0), entry.params()
    rows = np.flatnonzero(run(name, market).side)
    rows = rows[rows > entry.warmup(p)][:20]

    for row in rows:
        decision = decide(entry, p, market.prefix(int(row) + 1), book, settings)
        assert decision.side != 0
        assert decision.leverage <= 3
        assert decision.size * decision.price <= 5_000.0 * 3
        assert decision.size * abs(decision.price - decision.stop) <= 50.0 * (1 + 1e-9)
        assert decision.side * (decision.price - decision.stop) > 0.0
        assert all(decision.side * (price - decision.price) > 0.0 for price, _ in decision.targets)


@pytest.mark.parametrize("name", NAMES)
def test_strategy_parameters_are_documented_and_read_back(name: str):
    cls = strategies.get(name).params
    specs = describe(cls)

    assert all(spec.doc for spec in specs)
    assert parse_params(cls, {spec.name: spec.default for spec in specs}) == cls()
    assert set(json_schema(cls)["properties"]) == {spec.name for spec in specs}


@pytest.mark.parametrize("name", NAMES)
def test_strategy_short_history_is_quiet(name: str, market: Bars):
    for n in (1, 2, 5, 13):
        assert run(name, market.prefix(n)).n == n
