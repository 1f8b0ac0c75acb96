"""Harmony, changes, liquidation risk, levels and advice against the worked tables."""

from dataclasses import replace

import numpy as np
import pytest

from bots.position_analyzer import Params, advice, report, suggested
from omega.engine import AccountBook, Bars, OpenPosition
from omega.engine.account import ChangeKind, RiskLevel, changes, liquidation_distance, liquidation_risk
from omega.engine.harmony import Harmony, NoScore, harmony


def position(side: int, notional: float, symbol: str = "BTC-USDT.P", **changed: float) -> OpenPosition:
    made = OpenPosition(account="main", symbol=symbol, side=side, size=notional / 100.0, entry=100.0, mark=100.0)
    return replace(made, **changed)


def book(*legs: float, equity: float = 10_000.0) -> AccountBook:
    """Make a book of signed notionals."""
    positions = [position(1 if leg > 0 else -1, abs(leg), symbol=f"S{i}") for i, leg in enumerate(legs)]
    return AccountBook(balance=equity, positions=tuple(positions))


@pytest.mark.req("1.09")
@pytest.mark.parametrize(
    ("legs", "side", "exposure", "steps", "series", "score"),
    [
        ((3820, -2360), 0.999623, 0.999945, 0.999623, 0.999911, 0.999777),
        ((2360, -3820), 0.999623, 0.999945, 0.999623, 0.999911, 0.999777),
        ((6180,), 0.5, 0.999945, 1.0, 1.0, 0.849984),
        ((20_000,), 0.5, 0.0, 1.0, 1.0, 0.550000),
        ((5000, -5000), 0.618034, 0.381966, 0.618034, 0.881966, 0.600000),
        ((8000, 4000, -3000), 0.0, 0.0, 0.793989, 0.957650, 0.350328),
    ],
)
def test_harmony_of_the_worked_books_is_as_printed(
    legs: tuple[float, ...], side: float, exposure: float, steps: float, series: float, score: float
):
    made = harmony(book(*legs))

    assert isinstance(made, Harmony)
    parts = [made.side, made.exposure, made.steps, made.series, made.score]
    assert parts == pytest.approx([side, exposure, steps, series, score], abs=1.5e-6)


@pytest.mark.parametrize(
    ("legs", "label"), [((8000, 4000, -3000), "misaligned"), ((5000, -5000), "neutral"), ((3820, -2360), "aligned")]
)
def test_harmony_label_is_reachable(legs: tuple[float, ...], label: str):
    made = harmony(book(*legs))

    assert isinstance(made, Harmony)
    assert made.label == label


def test_harmony_is_free_of_profit():
    calm = book(3820, -2360)
    losing = replace(calm, balance=11_000.0, positions=tuple(replace(p, unrealised=-500.0) for p in calm.positions))

    assert harmony(losing) == harmony(calm)


def test_harmony_without_positions_or_equity_gives_the_reason_and_no_number():
    assert harmony(book()) == NoScore("no open positions")
    broke = harmony(book(100.0, equity=-1.0))
    assert isinstance(broke, NoScore)
    assert "equity" in broke.why


@pytest.mark.req("1.09")
@pytest.mark.parametrize(
    ("side", "mark", "liquidation", "distance", "level"),
    [
        (1, 70_000.0, 59_000.0, 0.186, RiskLevel.LOW),
        (1, 68_000.0, 59_000.0, 0.153, RiskLevel.LOW),
        (1, 62_000.0, 59_000.0, 0.0508, RiskLevel.MEDIUM),
        (1, 60_000.0, 59_000.0, 0.0169, RiskLevel.HIGH),
        (-1, 3_700.0, 3_850.0, 0.0390, RiskLevel.HIGH),
    ],
)
def test_liquidation_risk_of_the_worked_positions_is_as_printed(
    side: int, mark: float, liquidation: float, distance: float, level: RiskLevel
):
    held = position(side, 1000.0, mark=mark, liquidation=liquidation)

    assert liquidation_distance(held) == pytest.approx(distance, abs=5e-4)
    assert liquidation_risk(held) is level


def test_liquidation_risk_without_a_liquidation_price_is_low():
    assert liquidation_risk(position(1, 1000.0)) is RiskLevel.LOW


def kinds(found: AccountBook) -> list[tuple[str, str]]:
    return [(change.kind.value, change.position.symbol) for change in changes(found)]


@pytest.mark.req("1.09")
def test_changes_are_announced_once_and_the_first_poll_has_none():
    first = book(1000.0)
    second = first.polled(10_000.0, (*first.positions, position(-1, 500.0, symbol="NEW")))
    third = second.polled(10_000.0, ())
    fourth = third.polled(10_000.0, ())

    assert kinds(first) == []
    assert kinds(second) == [("new", "NEW")]
    assert sorted(kinds(third)) == [("closed", "NEW"), ("closed", "S0")]
    assert kinds(fourth) == []


def test_changes_long_and_short_of_one_symbol_are_two_positions():
    start = AccountBook(1000.0, (position(1, 100.0), position(-1, 100.0)))
    after = start.polled(1000.0, (position(1, 100.0),))

    (change,) = changes(after)

    assert (change.kind, change.position.side) == (ChangeKind.CLOSED, -1)


@pytest.mark.parametrize(
    ("size", "pnl", "before_pnl", "seen"),
    [
        (0.0104, 0.0, 0.0, False),
        (0.0106, 0.0, 0.0, True),
        (0.01, 5.0, 0.0, False),
        (0.01, 10.9, 10.0, False),
        (0.01, 11.1, 10.0, True),
        (0.01, -8.8, -10.0, True),
    ],
)
def test_changes_below_one_contract_count_by_their_share(size: float, pnl: float, before_pnl: float, seen: bool):
    start = AccountBook(1000.0, (position(1, 100.0, size=0.01, unrealised=before_pnl),))

    after = start.polled(1000.0, (position(1, 100.0, size=size, unrealised=pnl),))

    assert bool(changes(after)) is seen


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("move", [-0.05, 0.0, 0.05])
def test_suggested_stop_lies_on_the_losing_side_for_winners_and_losers(market: Bars, side: int, move: float):
    bars = market.prefix(3_000)
    entry = float(bars.close[-200])
    mark = entry * (1.0 + move)

    stop, target = suggested(bars, position(side, 1000.0, entry=entry, mark=mark), Params())

    assert side * (mark - stop) > 0.0
    assert target == 0.0 or side * (target - mark) > 0.0


def test_suggested_stop_exists_when_no_swing_holds_the_entry(market: Bars):
    stop, target = suggested(market.prefix(3_000), position(1, 1000.0, entry=1.0, mark=60_000.0), Params())

    assert 0.0 < stop < 60_000.0
    assert target == 0.0


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (book(8000, 4000, -3000), "rebalance"),
        (book(3820, -2360), "keep"),
        (book(6180), "hedge"),
        (book(20_000, -12_000), "reduce"),
        (book(6000, -1000), "trim the long side"),
        (book(700, -6500), "trim the short side"),
        (AccountBook(10_000.0, (position(1, 1000.0, unrealised=-150.0),)), "reduce or close"),
        (AccountBook(10_000.0, (position(1, 1000.0, unrealised=250.0),)), "take profit"),
        (AccountBook(10_000.0, (position(1, 1000.0, liquidation=98.0),)), "liquidation is near"),
    ],
)
def test_advice_names_what_the_figures_suggest(case: AccountBook, words: str):
    assert any(words in line for line in advice(case, harmony(case), Params()))


def test_advice_never_raises_the_exposure_and_is_limited():
    timid = book(100.0)
    wild = AccountBook(100.0, tuple(position(1, 1000.0, symbol=f"S{i}", unrealised=-900.0) for i in range(9)))

    assert not any("increase" in line or "raise" in line for line in advice(timid, harmony(timid), Params()))
    assert len(advice(wild, harmony(wild), Params())) == 5
    assert advice(wild, harmony(wild), Params(most=0)) == []


def test_report_says_your_book_and_carries_every_part(market: Bars):
    made = report(market.prefix(700), book(3820, -2360), Params())

    assert made["about"] == "your book"
    assert made["kind"] == "informational"
    assert made["harmony"] == pytest.approx(0.999777, abs=1e-6)
    assert made["harmony_label"] == "aligned"
    assert made["long_short"] == pytest.approx(3820 / 2360)
    assert "S0 long stop_level" not in made


def test_report_one_symbol_gets_levels_and_undefined_figures_say_so(market: Bars):
    bars = market.prefix(700)
    held = position(1, 1000.0, entry=float(bars.close[-50]), mark=float(bars.close[-1]), unrealised=-2000.0)

    made = report(bars, AccountBook(1000.0, (held,)), Params())

    assert made["BTC-USDT.P long stop_level"] < held.mark
    assert str(made["exposure"]).startswith("undefined")
    assert str(made["harmony"]).startswith("none")
    assert made["long_short"] == "one-sided"


def test_report_names_what_changed_since_the_poll_before(market: Bars):
    start = AccountBook(1000.0, (position(1, 100.0), position(1, 100.0, symbol="GONE")))
    after = start.polled(1000.0, (position(1, 100.0, size=1.2),))

    made = report(market.prefix(700), after, Params())

    assert made["change_1"] == "closed GONE long"
    assert made["change_2"] == "changed BTC-USDT.P long size +20.0%"


def test_report_prints_a_target_where_a_level_lies_ahead(market: Bars):
    bars = market.prefix(3_000)
    made = [
        report(bars, AccountBook(1e6, (position(1, 1000.0, entry=float(entry), mark=float(entry)),)), Params())
        for entry in bars.close[-300::20]
    ]

    assert any("BTC-USDT.P long target_level" in one for one in made)


def test_account_drawdown_is_from_the_running_peak():
    grown = AccountBook(1000.0).polled(1500.0, ()).polled(1200.0, ())

    assert grown.drawdown == pytest.approx(0.2)


def test_report_on_a_short_history_still_suggests_a_stop():
    flat = np.full(5, 100.0)
    bars = Bars.of(np.arange(1, 6), flat, flat + 1, flat - 1, flat, flat)

    stop, _ = suggested(bars, position(1, 1000.0), Params())

    assert 0.0 < stop < 100.0
