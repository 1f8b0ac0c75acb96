"""Whatever traders do: money is conserved, positions are the sum of fills, orders end, equal runs are equal."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.errors import Rejected
from services.simulator.account import AccountSpec
from services.simulator.candles import MINUTE_MS, Candles, candles
from services.simulator.exchange import Exchange
from services.simulator.inputs import Kind
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.ledger import ledger
from services.simulator.options import SimulatorOptions
from services.simulator.orders import BARRIERS
from services.simulator.recovery import recover
from services.simulator.rest.routes import PRIVATE

START = 1_746_403_200_000 + 7 * 3_600_000
ROWS = 90
ACCOUNTS = (AccountSpec(), AccountSpec(uid="1000000002", key="second", usdt=Decimal(3_000)))


def market(seed: int) -> dict[str, Candles]:
    noise = np.random.default_rng(seed)
    close = np.round(100_000 * np.exp(np.cumsum(noise.normal(0, 0.004, ROWS))), 1)
    open_ = np.concatenate([[100_000.0], close[:-1]])
    wick = noise.uniform(0, 400, ROWS)
    columns = {
        "ts": (START + np.arange(ROWS) * MINUTE_MS).astype(np.float64),
        "open": open_,
        "high": np.round(np.maximum(open_, close) + wick, 1),
        "low": np.round(np.minimum(open_, close) - wick, 1),
        "close": close,
        "volume": noise.uniform(1, 9, ROWS),
    }
    return {"BTCUSDT": candles("BTCUSDT", columns)}


SHIFTS = st.sampled_from([-0.02, -0.005, -0.001, 0.001, 0.005, 0.02])
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["market", "limit", "pair", "trigger", "stop", "cancel", "close", "spot", "isolated", "step"]),
        st.sampled_from([1, -1]),
        st.integers(1, 900),
        SHIFTS,
        st.sampled_from(["1000000001", "1000000002"]),
    ),
    min_size=20,
    max_size=80,
)


def request(  # noqa: PLR0911 - one line an action
    venue: Any, action: tuple[str, int, int, float, str]
) -> tuple[str, dict[str, Any]] | None:
    """Turn an action into the request that a client would send."""
    kind, side, steps, shift, uid = action
    last = venue.last("BTCUSDT")
    price = f"{last * (1 + shift):.1f}"
    body: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "productType": "USDT-FUTURES",
        "side": "buy" if side > 0 else "sell",
        "size": str(Decimal(steps) / 10_000),
        "orderType": "market",
    }
    order = "/api/v2/mix/order/"
    if kind in {"market", "isolated"}:
        return order + "place-order", body | {"marginMode": "isolated" if kind == "isolated" else "crossed"}
    if kind == "limit":
        force = ("gtc", "post_only", "ioc", "fok")[steps % 4]
        return order + "place-order", body | {"orderType": "limit", "price": price, "force": force}
    if kind == "pair":
        stop, target = (f"{last * (1 - side * move):.1f}" for move in (abs(shift), -abs(shift)))
        return order + "place-order", body | {"presetStopLossPrice": stop, "presetStopSurplusPrice": target}
    if kind == "trigger":
        trail = {"planType": "track_plan", "callbackRatio": "0.5"} if steps % 2 else {}
        return order + "place-plan-order", body | {"triggerPrice": price} | trail
    if kind == "stop":
        plan = ("pos_loss", "loss_plan", "pos_profit", "profit_plan")[steps % 4]
        hold = "buy" if side > 0 else "sell"
        return order + "place-tpsl-order", body | {"planType": plan, "holdSide": hold, "triggerPrice": price}
    if kind == "cancel":
        live = venue.book.open_of(uid, Product.SWAP)
        return (order + "cancel-order", {**body, "orderId": live[0].order_id}) if live else None
    if kind == "close":
        return order + "close-positions", {"productType": "USDT-FUTURES", "symbol": "BTCUSDT"}
    if kind == "spot":
        size = str(steps) if side > 0 else body["size"]
        return "/api/v2/spot/trade/place-order", body | {"size": size}
    return None


def act(exchange: Exchange, action: tuple[str, int, int, float, str]) -> None:
    lockstep = exchange.options.lockstep
    if action[0] == "step":
        exchange.work_minute() if lockstep else exchange.work_stretch()
        exchange.inputs.note(Kind.STEP if lockstep else Kind.STRETCH)
        return
    made = request(exchange.venue, action)
    if made is None:
        return
    path, body = made
    with contextlib.suppress(Rejected):
        PRIVATE["POST", path].handler(exchange.venue, exchange.venue.by_uid[action[4]], Fields(body))
    exchange.inputs.note(Kind.REST, uid=action[4], path=path, body=body)


def check(exchange: Exchange) -> None:
    venue = exchange.venue
    wallets = sum((account.wallet for account in venue.by_uid.values()), Decimal(0))
    deposits = sum((spec.usdt for spec in ACCOUNTS), Decimal(0))
    assert wallets == deposits + sum((bill.amount + bill.fee for bill in venue.bills), Decimal(0))
    mark = venue.last("BTCUSDT")
    for uid, account in venue.by_uid.items():
        trades = [item for item in venue.book.trades if item.uid == uid and item.product is Product.SWAP]
        signed = sum((item.side * item.size for item in trades), Decimal(0))
        held = account.held("BTCUSDT")
        assert sum((item.side * item.size for item in held), Decimal(0)) == signed
        assert len(held) <= 1
        # What a bank would say: cash paid and received, and what is held at the mark.
        paid = sum(float(-item.side * item.size * item.price) for item in trades) + float(signed) * mark
        other = sum(
            float(bill.fee if bill.business != "contract_settle_fee" else bill.amount) + _rescue(bill)
            for bill in venue.bills
            if bill.uid == uid
        )
        unrealised = sum(float(item.unrealised(mark)) for item in held)
        start = float(account.spec.usdt)
        assert float(account.wallet) + unrealised == pytest.approx(start + paid + other, abs=1e-4)
        for coin in account.coins.values():
            assert coin.available >= 0
            assert coin.frozen >= 0
        funds = account.funds(venue.last, venue.reserved(account))
        assert funds.available >= 0
        assert account.wallet >= 0
        for plan in venue.book.plans_of(uid, Product.SWAP):
            assert plan.kind not in BARRIERS or ("BTCUSDT", plan.hold) in account.positions
    for order in venue.book.orders.values():
        assert order.open == (order.order_id in venue.book.open_orders)
        assert 0 <= order.filled <= order.size or order.quote_size


def _rescue(bill: Any) -> float:
    return float(bill.amount) if bill.business == "risk_captital_user_transfer" else 0.0


@pytest.mark.parametrize("speed", [0, 60])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS, seed=st.integers(0, 1000))
def test_any_trading_conserves_money_and_positions(speed: float, actions: list[Any], seed: int) -> None:
    exchange = Exchange(SimulatorOptions(speed=speed, warmup=5, accounts=ACCOUNTS), market(seed))

    for action in actions:
        act(exchange, action)
        check(exchange)


@pytest.mark.parametrize("speed", [0, 60])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS, seed=st.integers(0, 1000))
def test_equal_runs_have_equal_ledgers(speed: float, actions: list[Any], seed: int) -> None:
    ledgers = []
    for _ in range(2):
        exchange = Exchange(SimulatorOptions(speed=speed, warmup=5, accounts=ACCOUNTS), market(seed))
        for action in actions:
            act(exchange, action)
        ledgers.append(json.dumps(ledger(exchange.venue)))

    assert ledgers[0] == ledgers[1]


@pytest.mark.parametrize("speed", [0, 60])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS, seed=st.integers(0, 1000), torn=st.booleans())
def test_killed_simulator_comes_back_as_it_was(
    tmp_path_factory: Any, speed: float, actions: list[Any], seed: int, torn: bool
) -> None:
    """The log of inputs is replayed; half a line at its end, written while dying, is dropped."""
    path: Path = tmp_path_factory.mktemp("state") / "inputs.log"
    options = SimulatorOptions(speed=speed, warmup=5, accounts=ACCOUNTS, state=str(path))
    first = Exchange(options, market(seed))
    recover(first)
    for action in actions:
        act(first, action)
    first.inputs.close()
    if torn:
        with path.open("ab") as file:
            file.write(b'{"kind":"st')

    second = Exchange(options, market(seed))
    recover(second)
    second.inputs.close()

    assert json.dumps(ledger(second.venue)) == json.dumps(ledger(first.venue))
