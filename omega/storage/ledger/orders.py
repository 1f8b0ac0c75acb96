"""The latest state of each order, folded from its steps; a late step never takes an order back. Called by the sink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from omega.domain import TERMINAL, OrderState, Role

Row = dict[str, Any]

_RANK: Final = {OrderState.INTENT: 0, OrderState.SENDING: 1, OrderState.UNRESOLVED: 2, OrderState.WORKING: 3}
_LAST: Final = 4
_TRIGGERED: Final = {Role.STOP.value, Role.TARGET.value}
"""Orders that the venue replaces by another one of its own when they fire, under the same client id."""
_KEPT: Final = ("bot", "intent_id", "client_id", "symbol", "side", "role", "bar_ts_ns")


def reference_of(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the key of the order that a step belongs to."""
    return event["venue"], event["account"], event["client_id"] or event["order_id"]


def step(order: Mapping[str, Any] | None, event: Mapping[str, Any]) -> Row:
    """Return the order's row after one step."""
    if order is None:
        return _first(event)
    changed = dict(order) | {"events": order["events"] + 1}
    other = bool(order["order_id"] and event["order_id"] and order["order_id"] != event["order_id"])
    if other and event["role"] not in _TRIGGERED:
        changed["repeats"] += 1
    if _rank(event["state"]) < _rank(order["state"]) or order["state"] in TERMINAL:
        return changed
    return changed | {
        "state": event["state"],
        "order_id": event["order_id"] or order["order_id"],
        "size": event["size"] or order["size"],
        "filled": max(event["filled"], order["filled"]),
        "reason": event["reason"] or order["reason"],
        "code": event["code"] or order["code"],
        "updated_ns": max(event["ts_ns"], order["updated_ns"]),
        "latency_ns": event["latency_ns"] or order["latency_ns"],
    }


def _first(event: Mapping[str, Any]) -> Row:
    venue, account, reference = reference_of(event)
    values = ("order_id", "size", "filled", "state", "reason", "code", "latency_ns")
    return {
        "venue": venue,
        "account": account,
        "reference": reference,
        **{name: event[name] for name in (*_KEPT, *values)},
        "opened_ns": event["ts_ns"],
        "updated_ns": event["ts_ns"],
        "events": 1,
        "repeats": 0,
    }


def _rank(state: str) -> int:
    return _RANK.get(OrderState(state), _LAST)
