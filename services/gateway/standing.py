"""What people have ordered of each bot, as the gateway keeps it: the gate refuses entries of a bot that is paused.

The runner obeys by itself; this holds also when it is dead, restarted, or its memory on the bus was lost. Kept in the
journal by the commands, asked by the order path, shown on the bus for a runner that starts.
"""

from __future__ import annotations

from typing import Final

from omega.bus.messages import Verb
from omega.bus.port import Bus, BusState
from omega.bus.standing import keep_standing
from omega.domain import Intent
from services.gateway.journal import Journal

TRADING: Final = "trading"
ORDERS: Final = {
    Verb.PAUSE: "paused",
    Verb.HALT: "paused",
    Verb.FLATTEN: "paused",
    Verb.DRAIN: "draining",
    Verb.RESUME: TRADING,
}
"""What each verb leaves behind for a bot, in the runner's words."""
_PREFIX: Final = "standing:"


class Standing:
    """The standing orders of one account's bots."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._orders: dict[str, str] = {}

    def load(self) -> None:
        """Read them from the journal, after it was opened."""
        self._orders = self._journal.values(_PREFIX)

    def tell(self, bot: str, verb: Verb) -> None:
        """Keep what a verb leaves behind for a bot."""
        self._journal.put(f"{_PREFIX}{bot}", ORDERS[verb])
        self._orders[bot] = ORDERS[verb]

    def of(self, bot: str) -> str:
        """Return a bot's standing order; a bot that nobody has told anything trades."""
        return self._orders.get(bot, TRADING)

    def veto(self, intent: Intent) -> tuple[str, str]:
        """Return (rule, words) against an entry, empty when nothing speaks against it."""
        order = self.of(intent.bot)
        if order == TRADING:
            return "", ""
        return "paused", f"{intent.bot} is {order}; `omega bot resume {intent.bot}` lifts it"

    async def show(self, bus: Bus) -> None:
        """Keep the orders on the bus, where a runner looks at its start."""
        if bus.state() is BusState.CONNECTED:
            for bot, order in list(self._orders.items()):
                await keep_standing(bus, bot, order)
