"""Bringing a killed simulator back: its logged inputs once more, in order, with nobody listening. Called at start."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from omega.errors import Rejected
from services.simulator import by_hand, mishaps
from services.simulator.exchange import Exchange
from services.simulator.inputs import Kind
from services.simulator.intake import Fields
from services.simulator.rest.routes import PRIVATE


def recover(exchange: Exchange) -> int:
    """Open the log of inputs and repeat them; return how many there were.

    Raises:
        ConfigError: the log belongs to a run with other options.
        EnvironmentFault: the log cannot be written.
    """
    inputs = exchange.inputs.open()
    for entry in inputs:
        _repeat(exchange, entry)
        for _ in exchange.venue.outbox.drain():
            pass
    # Whether the last minute was shown is not known: it is shown once more, which harms nobody.
    exchange.published = not (inputs and exchange.options.lockstep)
    return len(inputs)


def _repeat(exchange: Exchange, entry: dict[str, Any]) -> None:
    kind = entry["kind"]
    if kind == Kind.STEP:
        exchange.work_minute()
    elif kind == Kind.STRETCH:
        exchange.work_stretch()
    elif kind == Kind.REST:
        account = exchange.venue.by_uid[entry["uid"]]
        with suppress(Rejected):  # it was refused then, and is refused again
            PRIVATE["POST", entry["path"]].handler(exchange.venue, account, Fields(entry["body"]))
    elif kind == Kind.MISHAP:
        mishaps.befall(exchange.venue, Fields(entry["body"]))
    else:
        with suppress(Rejected):
            by_hand.ACTS[entry["act"]](exchange.venue, Fields(entry["body"]))
