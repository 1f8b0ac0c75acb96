"""Instruments on the bus: the gateway keeps what it read from the venue, the runners read it.

One spelling for both ends.
"""

from __future__ import annotations

from pydantic import TypeAdapter

from omega.bus.port import Bus
from omega.domain import Instrument

_ADAPTER: TypeAdapter[Instrument] = TypeAdapter(Instrument)


async def keep_instrument(bus: Bus, instrument: Instrument) -> None:
    """Keep an instrument under its venue and symbol."""
    key = bus.topics.state("instrument", instrument.venue, instrument.symbol.lower())
    await bus.put(key, _ADAPTER.dump_json(instrument).decode())


async def read_instrument(bus: Bus, venue: str, symbol: str) -> Instrument | None:
    """Return a kept instrument, None while the gateway has not read it from the venue yet."""
    text = await bus.get(bus.topics.state("instrument", venue, symbol.lower()))
    return _ADAPTER.validate_json(text) if text else None
