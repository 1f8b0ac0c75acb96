"""Entries, exits and halts as cards in a channel.

Read from the ledger's stream as a group, so that none is lost or told twice.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from itertools import groupby
from typing import Final

from omega.bus import Delivery, Envelope, HaltChanged, StopState
from omega.domain import Fill, Role
from omega.plugins import PersonaEntry
from omega.telemetry import Metrics, get_logger
from services.discord_bot.ask import persona_named, speak
from services.discord_bot.card import Card, Tone
from services.discord_bot.desk import Desk
from services.discord_bot.figures import money, price, quantity
from services.discord_bot.safe import plain, safe
from services.discord_bot.view import Outcome

LOG = get_logger("services.discord_bot")
GROUP: Final = "discord_bot"
OLD_S: Final = 60.0
"""Older events are missed ones: they are told together, not one by one."""
FLUSH_S: Final = 2.0
_WINDOW_S: Final = 60.0
_SHOWN: Final = 10
Post = Callable[[str, Card, str], Awaitable[None]]
"""Posts a card to a channel id; the third value makes a repeat of the same notice the same message."""


class Notices:
    """Turns records into posts."""

    def __init__(self, desk: Desk, post: Post, metrics: Metrics) -> None:
        self._desk = desk
        self._post = post
        self._metrics = metrics
        self._sent: deque[float] = deque()
        self._held: list[str] = []
        self._told = 0

    async def run(self) -> None:
        """Follow the ledger's stream until cancelled."""
        bus = self._desk.bus
        async with asyncio.TaskGroup() as tasks, bus.records(bus.topics.ledger(), group=GROUP) as batches:
            tasks.create_task(self._flush_on_time())
            async for batch in batches:
                await self.tell(batch)

    async def tell(self, batch: list[Delivery]) -> None:
        """Post what a batch holds; it is acknowledged when all of it stands in the channel."""
        async with AsyncExitStack() as held:
            for delivery in batch:
                await held.enter_async_context(delivery)
            envelopes = [delivery.received.envelope for delivery in batch]
            for envelope in envelopes:
                self._desk.view.learn(envelope)
            for _, group in groupby(envelopes, key=_order_of):
                await self._one(list(group))
            await self.flush()

    async def _one(self, group: list[Envelope]) -> None:
        newest = group[-1]
        if (made := self._card(group)) is None:
            return
        channel, card, kind = made
        if (self._desk.now_ns - newest.ts_ns) / 1e9 > OLD_S or not self._may_post():
            self._held.append(f"{card.title}: {' · '.join(value for _, value in card.fields[:3])}")
            self._count(kind, "collapsed")
            return
        await self._post(channel, card, newest.id)
        self._count(kind, "sent")

    def _card(self, group: list[Envelope]) -> tuple[str, Card, str] | None:
        """Choose channel, card and kind; None when nobody wants to hear of it."""
        bot, message = self._desk.settings.discord_bot, group[0].data
        if isinstance(message, HaltChanged) and bot.notices.halts and bot.channels.alerts:
            return bot.channels.alerts, self._halt(message, group[0]), "halt"
        fills = [envelope.data for envelope in group if isinstance(envelope.data, Fill)]
        if not fills or not bot.channels.trades:
            return None
        entry = fills[0].role is Role.ENTRY
        if not (bot.notices.entries if entry else bot.notices.exits):
            return None
        return bot.channels.trades, self._trade(fills, group[-1]), "entry" if entry else "exit"

    def _trade(self, fills: list[Fill], newest: Envelope) -> Card:
        first, outcomes = fills[0], [self._desk.view.outcome(fill) for fill in fills]
        total = sum((fill.size for fill in fills), Decimal(0))
        average = sum((fill.price * fill.size for fill in fills), Decimal(0)) / total
        fees = sum((fill.fee for fill in fills), Decimal(0))
        gained = sum((outcome.gained for outcome in outcomes), Decimal(0))
        entry = first.role is Role.ENTRY
        facts = {
            "bot": safe(first.bot),
            "symbol": safe(first.symbol),
            "side": "long" if (first.side == "buy") is entry else "short",
            "size": quantity(total),
            "price": price(average),
            "pnl": money(gained),
        }
        event = "trade.entered" if entry else "trade.won" if gained >= 0 else "trade.lost"
        mode = self._mode(first.bot)
        sign = "▲" if entry else "■"
        return Card(
            f"{sign} {mode} · {'Entry' if entry else _exit_word(first.role)} · {facts['symbol']}",
            Tone.DANGER
            if mode == "LIVE" and gained < 0 and not entry
            else Tone.OK
            if gained >= 0 or entry
            else Tone.WARN,
            voice=speak(self._persona_of(first.bot), event, facts, seed=zlib.crc32(first.trade_id.encode())),
            fields=self._trade_fields(first, facts, fees, outcomes[-1], entry=entry),
            footer=f"{plain(first.venue)}/{plain(first.account)} · {_count(len(fills))} · {newest.corr or newest.id}",
        )

    def _trade_fields(
        self, first: Fill, facts: dict[str, str], fees: Decimal, outcome: Outcome, *, entry: bool
    ) -> tuple[tuple[str, str], ...]:
        fields = [
            ("Bot", facts["bot"]),
            ("Opened" if entry else "Closed", f"{facts['side']} {facts['size']} @ {facts['price']}"),
            ("Fee", f"{price(fees)} {safe(first.fee_coin)}"),
        ]
        if entry:
            stop = self._desk.view.stops.get((str(first.bot), str(first.symbol)))
            standing = stop is not None and stop.value.state in {StopState.PLACED, StopState.MOVED}
            fields.append(("Stop at venue", price(stop.value.trigger) if stop and standing else "being placed"))
        else:
            fields.append(("Result after its fee", facts["pnl"]))
            fields.append(("Left open", quantity(outcome.after.size)))
        return tuple(fields)

    def _halt(self, change: HaltChanged, envelope: Envelope) -> Card:
        account = f"{safe(change.venue)}/{safe(change.account)}"
        if change.scope != "account":
            account += f" {safe(change.scope)} {safe(change.name)}"
        facts = {"account": account, "reason": safe(change.reason) or "-", "by": safe(change.by) or "-"}
        event = "risk.halted" if change.halted else "risk.released"
        return Card(
            "⛔ Entries halted" if change.halted else "✅ Halt released",
            Tone.DANGER if change.halted else Tone.OK,
            voice=speak(self._desk.persona, event, facts, seed=0),
            fields=(("Account", account), ("Reason", facts["reason"]), ("By", facts["by"])),
            footer=envelope.id,
        )

    async def _flush_on_time(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Tell what was held back in one card, when another post is allowed."""
        bot = self._desk.settings.discord_bot
        channel = bot.channels.trades or bot.channels.alerts
        if not self._held or not channel or not self._may_post():
            return
        lines, self._held = self._held, []
        self._told += 1
        facts = {"notices": str(len(lines))}
        card = Card(
            "Missed notices",
            Tone.WARN,
            voice=speak(self._desk.persona, "notices.missed", facts, seed=len(lines)),
            text="\n".join(lines[-_SHOWN:]),
            footer=f"{len(lines)} notices; the newest {min(len(lines), _SHOWN)} are shown",
        )
        await self._post(channel, card, f"missed-{self._told}-{self._desk.now_ns}")

    def _may_post(self) -> bool:
        now = time.monotonic()
        while self._sent and now - self._sent[0] > _WINDOW_S:
            self._sent.popleft()
        if len(self._sent) >= self._desk.settings.discord_bot.notices.per_minute:
            return False
        self._sent.append(now)
        return True

    def _mode(self, bot: str) -> str:
        seen = self._desk.view.bots.get(bot)
        mode = seen.value.mode if seen else self._desk.settings.trading.mode
        return "LIVE" if mode == "live" else "PAPER"

    def _persona_of(self, bot: str) -> PersonaEntry:
        plan = self._desk.settings.bots.get(bot)
        return persona_named(plan.persona) if plan else self._desk.persona

    def _count(self, kind: str, outcome: str) -> None:
        self._metrics.counter("discord_notices_total").labels(kind=kind, outcome=outcome).inc()


def _order_of(envelope: Envelope) -> str:
    """Fills of one order stand together; everything else stands alone."""
    message = envelope.data
    return message.client_id if isinstance(message, Fill) else envelope.id


def _count(fills: int) -> str:
    return "1 fill" if fills == 1 else f"{fills} fills"


def _exit_word(role: Role) -> str:
    words = {
        Role.STOP: "Stop hit",
        Role.TARGET: "Target hit",
        Role.LIQUIDATION: "LIQUIDATION",
        Role.EXTERNAL: "By hand",
    }
    return words.get(role, "Exit")
