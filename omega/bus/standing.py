"""Standing orders on the bus: the gateway keeps what people have ordered of a bot, a runner that starts reads it.

One spelling for both ends.
"""

from __future__ import annotations

from omega.bus.port import Bus


async def keep_standing(bus: Bus, bot: str, order: str) -> None:
    """Keep a bot's standing order: trading, paused or draining."""
    await bus.put(bus.topics.state("standing", bot), order)


async def read_standing(bus: Bus, bot: str) -> str:
    """Return a bot's standing order, empty when none is known."""
    return await bus.get(bus.topics.state("standing", bot)) or ""
