"""Each measure in each scope: what it counts, what it denies, what a person may change."""

from __future__ import annotations

import math
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from omega.bus import AccountStatus, RiskVerdict, SymbolUse
from omega.config import Levels
from omega.config.change import BETWEEN_BARS, Change
from omega.domain import Mode, Position
from omega.errors import ConfigError
from services.gateway.risk.dynamic import Returns, correlation, drawdown_share, volatility_share
from services.gateway.risk.gate import RiskGate
from services.gateway.risk.limits import Override
from services.gateway.risk.rate import OrderRate
from services.gateway.risk.scopes import FLEET, Entity, Measure, Scope
from services.gateway.service import check_fleet

from .risk_desk import BTC, ETH, SOL, Desk, Notes, broken, entry, gate_of, settings

D = Decimal
MINUTE = 60_000_000_000
ACCOUNT = Entity(Scope.ACCOUNT, "main")


def hold(gate: RiskGate, bot: str, symbol: str, size: str) -> None:
    gate.reservations.hold(bot, symbol, D(size))


@pytest.mark.parametrize(
    ("limits", "held", "asked", "denied"),
    [
        ({"account": {"gross_notional": 150}}, ("ema", BTC, "-1"), entry("0.6"), True),
        ({"account": {"gross_notional": 150}}, ("ema", BTC, "-1"), entry("0.5"), False),
        ({"account": {"net_notional": 50}}, ("ema", BTC, "-1"), entry("1.5"), False),
        ({"account": {"net_notional": 50}}, ("ema", BTC, "1"), entry("0.6", ETH), True),
        ({"account": {"leverage": "0.02"}}, ("ema", BTC, "1"), entry("1.1"), True),
        ({"account": {"leverage": "0.02"}}, ("ema", BTC, "1"), entry("1"), False),
        ({"account": {"concentration_pct": 2}}, ("ema", BTC, "1"), entry("1.1"), True),
        ({"account": {"concentration_pct": 2}}, ("ema", BTC, "5"), entry("1", ETH), False),
        ({"family": {"ema_cross": {"gross_notional": 120}}}, ("ema", BTC, "1"), entry("1"), False),
        ({"family": {"*": {"gross_notional": 90}}}, ("ema", BTC, "1"), entry("1"), True),
        ({"bot": {"fib": {"gross_notional": 90}}}, ("ema", BTC, "1"), entry("1"), True),
        ({"bot": {"ema": {"gross_notional": 90}}}, ("ema", BTC, "1"), entry("1"), False),
        ({"symbol": {BTC: {"gross_notional": 150}}}, ("ema", BTC, "1"), entry("1"), True),
        ({"symbol": {"*": {"net_notional": 150}}}, ("ema", BTC, "-1"), entry("1"), False),
        ({"fleet": {"gross_notional": 150}}, ("ema", BTC, "1"), entry("1"), True),
        ({"venue": {"gross_notional": 250}}, ("ema", BTC, "1"), entry("1"), False),
    ],
)
def test_limit_counts_its_scope_alone(limits: Any, held: Any, asked: Any, denied: bool) -> None:
    gate = gate_of(limits=limits)
    hold(gate, *held)

    assert bool(broken(gate, "fib", asked)) is denied


def test_limit_that_the_market_has_broken_lets_by_what_does_not_take_it_further() -> None:
    gate = gate_of(limits={"account": {"net_notional": 50}})
    hold(gate, "ema", BTC, "1")

    assert broken(gate, "fib", entry("0.5", sign=-1)) == []
    assert broken(gate, "fib", entry("0.001")) == [("account", "net_notional")]


def test_orders_per_minute_count_admissions_in_market_time() -> None:
    gate = gate_of(limits={"bot": {"*": {"orders_per_minute": 2}}})
    for ts in (1, 2):
        gate.admitted("fib", BTC, ts * MINUTE)
    gate.admitted("fib", BTC, 2 * MINUTE + 1)

    assert broken(gate, "fib", entry()) == [("bot", "orders_per_minute")]
    assert broken(gate, "ema", entry()) == []
    gate.rate.advance(3 * MINUTE + 1)
    assert broken(gate, "fib", entry()) == []


@pytest.mark.req("4.66")
def test_losses_are_of_equity_with_open_profit_from_peak_and_from_midnight() -> None:
    desk = Desk()
    gate = gate_of(desk, limits={"bot": {"fib": {"drawdown_pct": 5}}, "account": {"daily_loss_pct": 1}})
    book = Position(D(1), D(100))
    gate.market_ns = 1
    for price in (100, 200, 150):
        desk.prices[BTC] = D(price)
        gate.mark([(("fib", BTC), book)])

    assert gate.uses.use(Entity(Scope.BOT, "fib"), Measure.DRAWDOWN).quantize(D("0.01")) == D("4.55")  # 50 of 1100
    assert broken(gate, "fib", entry("0.1")) == []
    desk.prices[BTC] = D(144)
    gate.mark([(("fib", BTC), book)])
    assert broken(gate, "fib", entry("0.1")) == [("bot", "drawdown_pct")]

    gate.market_ns = 24 * 60 * MINUTE + 1
    gate.mark([(("fib", BTC), book)])
    desk.prices[BTC] = D(40)
    gate.mark([(("fib", BTC), book)])
    assert ("account", "daily_loss_pct") in broken(gate, "ema", entry("0.1"))  # 104 of 10044
    gate.curves.rebase(ACCOUNT)
    assert broken(gate, "ema", entry("0.1")) == []


def test_liquidation_distance_is_the_price_at_which_equity_is_maintenance_margin() -> None:
    """Equity 1000, 20 at 100: (20 * 100 - 1000) / (20 * (1 - 0.0046)) = 50.23, 99.08 % above it."""
    gate = gate_of(Desk(1000), limits={"account": {"liquidation_distance_pct": 100}})
    hold(gate, "ema", BTC, "19")
    [figure] = [f for f in gate.figures("fib", entry("1")) if f.limit.measure is Measure.LIQUIDATION]

    assert figure.after.quantize(D("0.01")) == D("99.08")
    assert figure.before > 100
    assert figure.broken


def test_correlated_symbols_count_as_one_by_group_and_by_their_returns() -> None:
    grouped = gate_of(limits={"account": {"correlated_notional": 150}}, correlation={"groups": {"majors": [BTC, ETH]}})
    measured = gate_of(limits={"account": {"correlated_notional": 150}})
    for n in range(120):
        wave = math.sin(n) * 0.01
        measured.correlations.hear(BTC, n, 100 * math.exp(wave))
        measured.correlations.hear(ETH, n, 10 * math.exp(2 * wave))
        measured.correlations.hear(SOL, n, math.exp(math.cos(7 * n) * 0.01))

    for gate in (grouped, measured):
        hold(gate, "ema", BTC, "1")
        assert broken(gate, "trend", entry("6", ETH)) == [("account", "correlated_notional")]
        assert broken(gate, "trend", entry("20", ETH, sign=-1)) == []
        assert broken(gate, "trend", entry("100", SOL)) == []
    assert measured.correlations.of(BTC, ETH) == pytest.approx(1.0)
    assert abs(measured.correlations.of(BTC, SOL)) < 0.3


def test_correlation_is_pearsons_over_the_bars_that_both_have() -> None:
    one, other = Returns(keep=50, decay=0.9), Returns(keep=50, decay=0.9)
    for n, close in enumerate((1.0, 2.0, 1.0, 4.0, 2.0)):
        one.hear(n, close)
        if n != 2:
            other.hear(n, 1 / close)

    shared = [(math.log(2), -math.log(2)), (math.log(4), -math.log(2)), (-math.log(2), math.log(2))]
    mean = [sum(column) / 3 for column in zip(*shared, strict=True)]
    cov = sum((a - mean[0]) * (b - mean[1]) for a, b in shared)
    var = [sum((row[i] - mean[i]) ** 2 for row in shared) for i in (0, 1)]
    assert correlation(one, other, least=3) == pytest.approx(cov / math.sqrt(var[0] * var[1]))
    assert correlation(one, other) == 0.0


@pytest.mark.req("4.68")
def test_dynamic_limits_shrink_with_volatility_and_drawdown_and_never_grow() -> None:
    dynamic = settings(dynamic={"volatility_target_pct": 2, "drawdown_max_pct": 10, "floor": 0.25}).risk.dynamic

    assert [volatility_share(dynamic, v) for v in (0.0, 1.0, 4.0, 80.0)] == [1, 1, D("0.5"), D("0.25")]
    assert [drawdown_share(dynamic, D(d)) for d in (0, 4, 9)] == [1, D("0.6"), D("0.25")]
    off = settings().risk.dynamic
    assert (volatility_share(off, 99.0), drawdown_share(off, D(99))) == (1, 1)


def test_dynamic_share_scales_the_bound_of_exposure_alone() -> None:
    desk = Desk()
    gate = gate_of(
        desk,
        limits={"account": {"gross_notional": 100, "orders_per_minute": 10}},
        dynamic={"volatility_target_pct": 2},
    )
    for n in range(60):  # 1 % a minute either way is 37.9 % a day
        gate.correlations.hear(BTC, n, 100.0 if n % 2 else 101.0)

    figures = {
        f.limit.measure: f.bound for f in gate.figures("fib", entry()) if "notional" != f.limit.rule != "bot_notional"
    }
    assert figures[Measure.RATE] == 10
    assert 25 <= figures[Measure.GROSS] < 26
    assert gate.share(ETH) == 1


def test_volatility_of_a_steady_move_is_its_size_scaled_to_a_day() -> None:
    returns = Returns(keep=100, decay=0.94)
    for n in range(100):
        returns.hear(n, 100.0 * math.exp(0.001 * (n % 2)))

    assert returns.daily_pct(60.0) == pytest.approx(0.1 * math.sqrt(1440), rel=1e-9)


def test_fleet_limit_counts_the_others_and_waits_for_those_that_are_silent() -> None:
    gate = gate_of(limits={"fleet": {"gross_notional": 300}}, accounts=["bitget/main", "okx/second"])
    assert gate.stale(0.0) == ["okx/second"]
    status = AccountStatus(
        "okx", "second", Mode.PAPER, D(5_000), D(5_000), (), {}, {}, 0, 0.0, False, "", True, 1,
        uses=(SymbolUse(BTC, D(250), D(250), D(0)),),
    )  # fmt: skip
    gate.fleet.hear(status, 1.0)

    assert gate.stale(5.0) == []
    assert broken(gate, "fib", entry("0.5")) == []
    assert broken(gate, "fib", entry("0.6")) == [("fleet", "gross_notional")]
    assert gate.uses.equity(FLEET) == 15_000
    assert gate.stale(6.1) == ["okx/second"]
    assert gate_of(accounts=["bitget/main"], limits={"fleet": {"gross_notional": 1}}).stale(99.0) == []


def test_persons_limit_replaces_the_setting_survives_and_ends_while_the_cap_stays() -> None:
    gate, notes = gate_of(limits={"account": {"gross_notional": 100}}), Notes()
    wide = Override(ACCOUNT, Measure.GROSS, Levels(block=D(500_000)), "ann", "drill", 1, until_ns=10)
    gate.change(wide, notes)

    assert broken(gate, "fib", entry("5")) == []
    assert broken(gate, "fib", entry("2000"))[0] == ("account", "notional")  # trading.max_notional is nobody's to widen
    again = gate_of(limits={"account": {"gross_notional": 100}})
    again.load(notes)
    assert again.limits.overrides == [wide]
    assert again.expire(9, notes) == []
    assert again.expire(10, notes) == [wide]
    assert broken(again, "fib", entry("5")) == [("account", "gross_notional")]
    assert gate_of().limits.overrides == []


def test_persons_limit_can_be_taken_back_and_taken_away() -> None:
    gate, notes = gate_of(limits={"bot": {"*": {"gross_notional": 100}}}), Notes()
    gate.change(Override(Entity(Scope.BOT, "*"), Measure.GROSS, None, "ann", "drill", 1), notes)

    assert broken(gate, "fib", entry("5")) == []
    assert gate.restore(Entity(Scope.BOT, "*"), Measure.GROSS, notes)
    assert not gate.restore(Entity(Scope.BOT, "*"), Measure.GROSS, notes)
    assert broken(gate, "fib", entry("5")) == [("bot", "gross_notional")]


def test_reload_regroups_what_is_held() -> None:
    gate = gate_of()
    hold(gate, "fib", BTC, "1")
    hold(gate, "ema", BTC, "1")
    gate.configure(
        settings(
            families={"mine": ["ema_cross", "strategic_fibonacci"]},
            limits={"family": {"mine": {"gross_notional": 250}}},
        )
    )

    assert broken(gate, "fib", entry("0.6")) == [("family", "gross_notional")]
    assert broken(gate, "fib", entry("0.5")) == []


def test_curves_survive_a_restart() -> None:
    desk, notes = Desk(), Notes()
    gate = gate_of(desk)
    gate.market_ns = 1
    book = (("fib", BTC), Position(D(1), D(100)))
    desk.prices[BTC] = D(300)
    gate.mark([book])
    assert gate.keep(notes)
    assert not gate.keep(notes)

    again = gate_of(desk)
    again.load(notes)
    desk.prices[BTC], desk.equity = D(200), D(9_900)
    again.mark([book])
    curve = again.curves.of(ACCOUNT)
    assert curve is not None
    assert (curve.peak, curve.now) == (10_000, 9_900)


def test_verdict_of_a_limit_without_bound_can_be_written_and_read() -> None:
    """Nothing held has no liquidation price, and JSON knows no infinity: a record must never be poison."""
    gate = gate_of(Desk(0), limits={"account": {"liquidation_distance_pct": 5, "leverage": 2}})
    for figure in gate.figures("fib", entry()):
        adapter = TypeAdapter(RiskVerdict)
        verdict = figure.verdict()

        assert adapter.validate_json(adapter.dump_json(verdict)) == verdict
    assert ("account", "leverage") in broken(gate, "fib", entry())  # an equity that is gone carries nothing


# shares of what several accounts have together ------------------------------------------------------------------------

ACCOUNTS = ["bitget/main", "bitget/other", "okx/second"]


@pytest.mark.parametrize(
    ("shares", "fleet", "venue"),
    [
        ({}, "0.3333", "0.5"),
        ({"bitget/main": "0.5"}, "0.5", "0.6667"),
        ({"bitget/main": "0.2", "bitget/other": "0.6", "okx/second": "0.1"}, "0.2", "0.25"),
        ({"okx/second": "1"}, "0", "1"),
    ],
)
def test_share_of_an_account_is_what_is_given_or_an_equal_part_of_the_rest(
    shares: dict[str, str], fleet: str, venue: str
) -> None:
    gate = gate_of(accounts=ACCOUNTS, shares=shares)

    assert round(gate.fleet.share(FLEET), 4) == D(fleet)
    if D(fleet):
        assert round(gate.fleet.share(Entity(Scope.VENUE, "bitget")), 4) == D(venue)


def test_accounts_without_a_share_have_nothing_of_what_they_have_together() -> None:
    gate = gate_of(accounts=ACCOUNTS, shares={"okx/second": "1"})

    assert gate.fleet.share(Entity(Scope.VENUE, "bitget")) == 0


def test_share_bounds_sums_and_leaves_ratios_whole() -> None:
    limits = {"fleet": {"gross_notional": 300, "leverage": 2}}
    gate = gate_of(Desk(equity=100), accounts=ACCOUNTS[:2], shares={"bitget/main": "0.4"}, limits=limits)

    assert broken(gate, "fib", entry("1.2")) == []
    assert broken(gate, "fib", entry("1.21")) == [("fleet", "gross_notional")]
    hold(gate, "ema", BTC, "1.2")
    rules = {
        figure.limit.rule: figure for figure in gate.figures("fib", entry("0.1")) if "share" in figure.limit.origin
    }
    assert (rules["leverage"].bound, rules["gross_notional"].bound) == (2, 120)


def test_two_gates_that_never_hear_of_each_other_keep_the_limit_together() -> None:
    most = {"gross_notional": 1000, "net_notional": 400, "correlated_notional": 300, "orders_per_minute": 30}
    limits = {"fleet": most}
    for seed in range(100):
        draw = Random(seed)
        share = D(draw.randint(1, 9)) / 10
        parts = ({"bitget/main": part} for part in (share, 1 - share))
        gates = [gate_of(accounts=ACCOUNTS[:2], shares=part, limits=limits) for part in parts]
        orders = 0
        for number in range(60):
            gate, bot, symbol = draw.choice(gates), draw.choice(["fib", "ema"]), draw.choice([BTC, ETH, SOL])
            added = entry(str(draw.randint(1, 3)), symbol, sign=draw.choice([1, -1]))
            if not broken(gate, bot, added):
                held = gate.reservations._held.get((bot, symbol), D(0))
                hold(gate, bot, symbol, str(held + added.size * added.sign))
                gate.admitted(bot, symbol, number)
                orders += 1
        for measure in ("gross_notional", "net_notional", "correlated_notional"):
            assert sum(gate.uses.use(ACCOUNT, Measure(measure)) for gate in gates) <= most[measure], f"seed {seed}"
        assert orders <= most["orders_per_minute"], f"seed {seed}"


@pytest.mark.parametrize(
    ("shares", "words"), [({"bitget/main": "0.7", "okx/second": "0.4"}, "more than 1"), ({"x/y": "0.1"}, "x/y")]
)
def test_shares_that_cannot_hold_are_refused(shares: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        gate_of(accounts=ACCOUNTS, shares=shares)


def test_changed_shares_and_accounts_wait_for_a_restart_and_are_told() -> None:
    """Two gateways that take them over at different instants would break the limit together."""
    before = settings(accounts=ACCOUNTS[:2], shares={"bitget/main": "0.4"}, limits={"fleet": {"gross_notional": 10}})
    changed = {"accounts": ACCOUNTS, "shares": {"bitget/main": "0.9"}, "limits": {"fleet": {"gross_notional": 20}}}
    gate = RiskGate(before, Desk())

    change = Change.between(before, settings(**changed), BETWEEN_BARS)
    gate.configure(change.settings)

    assert {path.partition(".")[2].partition(".")[0] for path in change.restart} == {"accounts", "shares"}
    assert gate.fleet.share(FLEET) == D("0.4")
    assert [limit.block for limit in gate.limits.of(FLEET)] == [20]


def test_own_account_that_the_fleet_does_not_name_is_refused_with_what_to_write() -> None:
    check_fleet(settings(accounts=ACCOUNTS))
    check_fleet(settings())
    words = r"not this gateway's own bitget/main; write risk\.accounts: \[bitget/other, bitget/main\]"
    with pytest.raises(ConfigError, match=words):
        check_fleet(settings(accounts=["bitget/other"]))


def test_order_rate_keeps_a_minute_of_a_scope_that_nobody_asks_about() -> None:
    rate = OrderRate()
    for number in range(1_000):
        rate.add((ACCOUNT,), number * MINUTE // 10)

    assert len(rate._stamps[ACCOUNT]) == 10
    assert rate.count(ACCOUNT) == 10
