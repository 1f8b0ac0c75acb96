"""An order as the gateway knows it: its states, the legal steps between them, and the four outcomes of a send."""

from __future__ import annotations

from enum import StrEnum


class OrderState(StrEnum):
    """The life of one order (design, the order path)."""

    INTENT = "intent"
    DENIED = "denied"
    SENDING = "sending"
    UNRESOLVED = "unresolved"
    REJECTED = "rejected"
    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"


TERMINAL = frozenset({OrderState.DENIED, OrderState.REJECTED, OrderState.FILLED, OrderState.CANCELED})

STEPS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.INTENT: frozenset({OrderState.DENIED, OrderState.SENDING}),
    OrderState.SENDING: frozenset(
        {
            OrderState.WORKING,
            OrderState.FILLED,
            OrderState.CANCELED,
            OrderState.REJECTED,
            OrderState.UNRESOLVED,
        }
    ),
    OrderState.UNRESOLVED: frozenset({OrderState.WORKING, OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED}),
    OrderState.WORKING: frozenset({OrderState.FILLED, OrderState.CANCELED}),
    OrderState.DENIED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELED: frozenset(),
}


def may_step(old: OrderState, new: OrderState) -> bool:
    """Tell whether an order may go from one state to the other; staying is no step."""
    return new in STEPS[old]


class Role(StrEnum):
    """Why an order exists; tells a stop's fill from a bot's own exit."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"
    LIQUIDATION = "liquidation"
    EXTERNAL = "external"
