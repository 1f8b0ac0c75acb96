"""Whatever goes in, a size never exceeds its caps, never loses more than its risk, and stays clear of liquidation."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.domain import Decision
from omega.engine import Book, Context, Settings, Sizing, amend, size_entry
from omega.engine.barriers import barrier_fill
from omega.engine.decision import run_stages
from omega.engine.fills import limit_fill, trigger_hit
from omega.engine.margin import cross_liquidation, isolated_liquidation
from omega.engine.sizing import full_size, risk_size

SLACK = 1.0 + 1e-9
LOOSE = Settings(max_leverage=125)

sides = st.sampled_from([1, -1])
prices = st.floats(0.001, 200_000.0)
equities = st.floats(0.01, 1e8)
shares = st.one_of(st.just(0.0), st.floats(1e-6, 2.0))
rules = st.builds(
    Settings,
    sizing=st.sampled_from([Sizing.RISK, Sizing.FULL]),
    # Nothing or a figure that a person can write: among subnormal numbers a relative slack means nothing.
    risk=st.one_of(st.just(0.0), st.floats(1e-9, 0.1)),
    max_leverage=st.integers(1, 125),
    max_notional=st.one_of(st.just(0.0), st.floats(1.0, 1e7)),
    reserve=st.floats(0.0, 0.5),
    buffer=st.floats(0.0, 3.0),
    maintenance=st.floats(0.001, 0.1),
)


def draft(side: int, price: float, distance: float, leverage: int = 125, share: float = 1.0) -> Decision:
    return Decision(
        bar_ts_ns=0, price=price, side=side, exit=False, size=share, stop=price - side * distance, targets=(),
        leverage=leverage, confidence=1.0, reason="r",
    )  # fmt: skip


@pytest.mark.req("0.43", "4.38")
@given(side=sides, price=prices, part=st.floats(1e-4, 0.9), equity=equities, settings=rules, share=shares)
def test_size_never_exceeds_any_cap(
    side: int, price: float, part: float, equity: float, settings: Settings, share: float
):
    context = Context(0, price, Book.flat(equity))

    made = size_entry(draft(side, price, part * price, share=share), context, settings)

    distance = abs(price - made.stop) if made.side else 0.0
    assert made.size >= 0.0
    assert 1 <= made.leverage <= settings.max_leverage
    assert made.size * price <= equity * (1 - settings.reserve) * made.leverage * SLACK
    if settings.max_notional:
        assert made.size * price <= settings.max_notional * SLACK
    if settings.sizing is Sizing.RISK:
        assert made.size * distance <= equity * settings.risk * share * SLACK


@pytest.mark.req("0.43")
@given(side=sides, price=prices, part=st.floats(1e-4, 0.5), equity=equities, settings=rules)
def test_size_liquidation_lies_beyond_the_stop(side: int, price: float, part: float, equity: float, settings: Settings):
    made = size_entry(draft(side, price, part * price), Context(0, price, Book.flat(equity)), settings)
    if not made.side:
        return

    crossed = cross_liquidation(side, made.size, price, equity, settings.maintenance, settings.taker)

    assert side * (made.stop - crossed) >= -1e-6 * price or crossed == 0.0
    if made.leverage > 1:
        margin = made.size * price / made.leverage
        alone = isolated_liquidation(side, made.size, price, margin, settings.maintenance, settings.taker)
        assert side * (made.stop - alone) >= -1e-6 * price or alone == 0.0


@pytest.mark.req("0.43")
@given(
    side=sides,
    price=prices,
    part=st.floats(1e-3, 0.9),
    equity=equities,
    risk=st.floats(0.01, 1.0),
    buffer=st.floats(0, 3),
    rate=st.floats(0.001, 0.2),
)
def test_kernel_size_with_any_cap_stays_clear_of_liquidation(
    side: int, price: float, part: float, equity: float, risk: float, buffer: float, rate: float
):
    distance = part * price
    stop = price - side * distance

    for size in (
        risk_size(side, equity, price, distance, risk, 1e12, buffer, rate),
        full_size(side, equity, price, distance, 1e12, buffer, rate),
    ):
        crossed = cross_liquidation(side, size, price, equity, rate, 0.0)
        assert crossed == 0.0 or side * (stop - crossed) >= -1e-6 * price


@given(
    side=sides,
    price=st.floats(10.0, 1000.0),
    factor=st.floats(0.0, 10.0),
    leverage=st.integers(1, 125),
    stop=st.floats(1.0, 2000.0),
    turn=st.booleans(),
)
def test_live_interceptor_never_adds_risk(
    side: int, price: float, factor: float, leverage: int, stop: float, turn: bool
):
    start = draft(side, price, 0.05 * price, leverage=3)
    context = Context(0, price, Book.flat(1000.0))

    def wild(decision: Decision, _: Context) -> Decision:
        return amend(decision, "cosmic", "?", size=factor, leverage=leverage, stop=stop, side=-side if turn else side)

    calm, made = run_stages(start, context, LOOSE), run_stages(start, context, replace(LOOSE, cosmic=wild))

    assert made.side in {0, side}
    assert made.leverage <= calm.leverage
    if made.side:
        assert side * (made.stop - start.stop) >= 0.0
        assert made.size * abs(price - made.stop) <= calm.size * abs(price - calm.stop) * SLACK


bars = st.tuples(st.floats(1, 1e5), st.floats(1, 1e5), st.floats(1, 1e5)).map(lambda t: (t[0], max(t), min(t)))


@pytest.mark.req("4.38")
@given(side=sides, stop=st.floats(0, 1e5), target=st.floats(0, 1e5), bar=bars)
def test_barrier_fill_lies_inside_the_bar(side: int, stop: float, target: float, bar: tuple[float, float, float]):
    price, which = barrier_fill(side, stop, target, *bar)

    assert (price == 0.0) == (which == 0)
    if which:
        assert bar[2] <= price <= bar[1]


@given(side=sides, at=st.floats(0, 1e5), bar=bars)
def test_limit_and_trigger_fill_inside_the_bar(side: int, at: float, bar: tuple[float, float, float]):
    for price in (limit_fill(side, at, *bar), trigger_hit(side > 0, at, *bar)):
        assert price == 0.0 or bar[2] <= price <= bar[1]


@given(equity=equities, price=prices, share=st.floats(0.0, 1.0), taker=st.floats(0.0, 0.1))
def test_all_in_spends_the_equity_and_its_fee(equity: float, price: float, share: float, taker: float):
    settings = Settings(sizing=Sizing.ALL_IN, taker=taker, require_stop=False)

    made = size_entry(
        replace(draft(1, price, 0.0, share=share), stop=0.0), Context(0, price, Book.flat(equity)), settings
    )

    assert made.size * price * (1.0 + taker) == pytest.approx(equity * share)
    assert made.leverage == 1
