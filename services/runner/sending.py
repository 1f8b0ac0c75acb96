"""What a bot does, on its way to the bus: intents first, the decision that names them after. Called by the service."""

from __future__ import annotations

import asyncio
import time

from omega.bus import Bus, DecisionMade, Lease
from omega.domain import Intent
from omega.telemetry import Metrics, get_logger
from services.runner.seen import Done

LOG = get_logger("services.runner")


class Sender:
    """Sends for one bot; repeats are duplicates by their message ids."""

    def __init__(self, bus: Bus, metrics: Metrics, bot: str) -> None:
        self._bus = bus
        self._metrics = metrics
        # What every bar counts: looked up once.
        self._decisions_total = metrics.counter("decisions_total").labels(bot=bot)
        self._decided = metrics.gauge("bot_decided_seconds").labels(bot=bot)
        self._decided.set_to_current_time()  # a bot that has just begun has not been idle

    async def decision(
        self, made: DecisionMade, intents: tuple[Intent, ...], lease: Lease, *, ttl_ns: int, cause: str, corr: str
    ) -> None:
        """Send a decision and its intents.

        Raises:
            Fenced: somebody holds a newer epoch of the lease.
        """
        # Each send writes before it waits: gathered, they leave in this order without a round trip in between.
        sends = [self._intent(intent, lease, ttl_ns=ttl_ns, cause=cause, corr=corr) for intent in intents]
        name = f"decision:{made.bot}:{made.decision.bar_ts_ns}"
        decided = self._bus.send(made, corr=corr, cause=cause, lease=lease, message_id=name)
        if sends:
            await asyncio.gather(*sends, decided)
        else:
            await decided
        for intent in intents:
            self._count(intent)
        self._decisions_total.inc()
        self._decided.set_to_current_time()

    async def by_hand(self, done: Done, lease: Lease | None, *, cause: str) -> None:
        """Send the intents that a command has brought about."""
        for intent in done.intents:
            await self._bus.send(intent, cause=cause, lease=lease, message_id=f"intent:{intent.intent_id}")

    async def _intent(self, intent: Intent, lease: Lease, *, ttl_ns: int, cause: str, corr: str) -> None:
        await self._bus.send(
            intent,
            corr=corr,
            cause=cause,
            deadline_ns=0 if intent.reduces else time.time_ns() + ttl_ns,
            lease=lease,
            message_id=f"intent:{intent.intent_id}",
        )

    def _count(self, intent: Intent) -> None:
        self._metrics.counter("intents_total").labels(bot=intent.bot, action=intent.action.value).inc()
        LOG.info("intent.sent", intent=intent.intent_id, action=intent.action, side=intent.side, size=str(intent.size))
