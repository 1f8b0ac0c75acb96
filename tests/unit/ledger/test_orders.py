from decimal import Decimal
from typing import Any

import pytest

from omega.storage.ledger.orders import reference_of, step


def event(state: str, **changed: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "venue": "bitget",
        "account": "main",
        "bot": "fib",
        "intent_id": "fib:1:0",
        "client_id": "oabc",
        "order_id": "77",
        "symbol": "BTC-USDT.P",
        "side": "buy",
        "size": Decimal("0.010"),
        "filled": Decimal(0),
        "role": "entry",
        "state": state,
        "reason": "",
        "code": "",
        "ts_ns": 10,
        "bar_ts_ns": 1,
        "latency_ns": 0,
    }
    return values | changed


def walk(*events: dict[str, Any]) -> dict[str, Any]:
    order = None
    for one in events:
        order = step(order, one)
    assert order is not None
    return order


def test_step_whole_life_ends_in_the_last_state():
    order = walk(
        event("intent", order_id=""),
        event("sending", order_id="", ts_ns=11, latency_ns=900),
        event("working", ts_ns=12),
        event("working", filled=Decimal("0.004"), ts_ns=13),
        event("filled", filled=Decimal("0.010"), ts_ns=14),
    )

    assert (order["state"], order["filled"], order["order_id"]) == ("filled", Decimal("0.010"), "77")
    assert (order["opened_ns"], order["updated_ns"], order["latency_ns"], order["events"]) == (10, 14, 900, 5)
    assert order["repeats"] == 0


def test_step_late_event_never_takes_an_order_back():
    order = walk(event("filled", filled=Decimal("0.010"), ts_ns=14), event("working", ts_ns=12), event("canceled"))

    assert (order["state"], order["filled"], order["events"]) == ("filled", Decimal("0.010"), 3)


def test_step_unresolved_found_working_goes_on():
    order = walk(event("sending"), event("unresolved", reason="no answer"), event("working"))

    assert (order["state"], order["reason"]) == ("working", "no answer")


@pytest.mark.parametrize(("role", "repeats"), [("entry", 1), ("exit", 1), ("stop", 0), ("target", 0)])
def test_step_second_venue_order_under_one_client_id_is_counted(role: str, repeats: int):
    """A stop that fires becomes another order of the venue; an entry never may."""
    order = walk(event("working", role=role), event("working", role=role, order_id="78"))

    assert order["repeats"] == repeats


def test_reference_stranger_without_client_id_is_known_by_its_venue_id():
    assert reference_of(event("filled", client_id="", order_id="55")) == ("bitget", "main", "55")
