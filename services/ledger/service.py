"""The ledger's container: every record, as group `ledger`, one transaction a batch, acknowledged after its commit."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Final

from omega.bus.inspect import backlog, held, surplus
from omega.bus.messages import Scalar
from omega.bus.port import Bus, Delivery
from omega.bus.topics import FARM, RISK
from omega.config import Settings
from omega.errors import ConfigError, CorruptData, Denied, TransientError
from omega.runtime import BaseService
from omega.storage import queries
from omega.storage.engine import Database
from omega.storage.ledger import Sink, entry_order
from omega.storage.ledger.balance import capital_of
from omega.storage.migrations import upgrade
from services.ledger.answers import METHODS, Answers
from services.ledger.watch import Watch

GROUP: Final = "ledger"
_FIRST_DELAY_S: Final = 0.2
_LONGEST_DELAY_S: Final = 5.0
_SMALL: Final = 4
"""A batch below this part of a full one means that little waits: the next one may gather more."""
_LAG_EVERY_S: Final = 5.0
_SETTLE_WITHIN_S: Final = 30.0


class LedgerService(BaseService):
    """Keeps what happened. While the database is away records wait in their streams and in hand, and nothing is lost.

    Attributes:
        topics: the streams that it drains; none of them waits for another.
    """

    name: ClassVar[str] = "ledger"

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        super().__init__(settings=settings, bus=bus)
        database = settings.database
        self._database = Database(
            database.url,
            pool_size=database.pool_size,
            max_overflow=database.max_overflow,
            pool_timeout_s=database.pool_timeout_s,
            echo=database.echo,
        )
        bots = {name: bot.capital for name, bot in settings.bots.items()}
        capital = capital_of(bots, settings.trading.capital)
        self._answers = Answers(self._database, capital)
        self._watch = Watch(self._database, lambda: self.settings, capital, metrics=self.metrics, logger=self.logger)
        self._trouble = "the tables are not migrated yet"
        self._written: dict[str, str] = {}
        self._migrated = asyncio.Event()
        self._moved = asyncio.Event()
        self._asked = 0
        self._waits: dict[str, int] = {}
        self._hurry = asyncio.Event()
        topics = bus.topics
        self.topics: tuple[str, ...] = (
            topics.ledger(),
            topics.decisions(),
            topics.audit(),
            topics.control(FARM),
            topics.control(RISK),
            *(topics.control(bot) for bot in sorted(settings.bots)),
            *(topics.intents(settings.trading.venue, settings.trading.account, high=high) for high in (True, False)),
            topics.control_results(),
            topics.config(),
            topics.analysis(),
        )

    def readiness(self) -> tuple[bool, str]:
        """Tell whether the database takes records."""
        return not self._trouble, self._trouble

    def update_metrics(self) -> None:
        """Bring the use of the database's pool up to date beside the base's gauges."""
        super().update_metrics()
        pool, gauge = self._database.pool(), self.metrics.gauge("database_connections")
        for state, number in (("used", pool.used), ("idle", pool.idle), ("allowed", pool.allowed)):
            gauge.labels(self.name, state).set(number)
        waits = self.metrics.counter("database_transactions_total")
        for outcome, number in (("served", pool.served), ("refused", pool.refused)):
            waits.labels(self.name, outcome).inc(number - self._waits.get(outcome, 0))
            self._waits[outcome] = number

    async def on_start(self) -> None:
        """Start to drain the streams, to answer, and to measure how far behind the ledger is."""
        self.spawn("consume", self._consume)
        self.spawn("serve", self._serve)
        self.spawn("lag", self._watch_lag)
        self.spawn("check", lambda: self._every("check_s", self._watch.check))
        self.spawn("prove", lambda: self._every("prove_s", self._watch.prove))
        self.spawn("retain", lambda: self._every("check_s", self._watch.retain))

    async def on_stop(self) -> None:
        """Close the database."""
        await self._database.close()

    async def answer(self, method: str, params: Mapping[str, Scalar]) -> object:
        """Answer one request.

        Raises:
            Denied: there is no such method, or its parameters are wrong.
            TransientError: the database is away.
        """
        if method not in METHODS:
            raise Denied(f"the ledger does not answer {method!r}: ask one of {', '.join(METHODS)}", rule="method")
        if method == "settle":
            return await self._settle()
        answer: object = await getattr(self._answers, method)(params)
        return answer

    async def _consume(self) -> None:
        await self._until_it_works(self._prepare)
        ledger = self.settings.ledger
        async with self.bus.records(*self.topics, group=GROUP, batch=ledger.batch, ranked=False) as batches:
            async for batch in batches:
                await self._keep(batch)
                if len(batch) * _SMALL < ledger.batch:
                    await self._gather(ledger.flush_ms / 1000)

    async def _gather(self, longest_s: float) -> None:
        """Let records gather, since a transaction costs what a hundred of them do; nobody who settles waits for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._hurry.wait()

    async def _serve(self) -> None:
        await self._migrated.wait()
        await self.bus.serve(self.name, self.answer)

    async def _prepare(self) -> None:
        revision = await upgrade(self._database)
        async with self._database.reading() as connection:
            self._written = await queries.offset_rows(connection)
        self._migrated.set()
        self.logger.info("database.migrated", database=self._database.url, revision=revision)

    async def _keep(self, batch: Sequence[Delivery]) -> None:
        """Write a batch, then acknowledge what is stored; the rest is delivered again and at last set aside."""
        refused = await self._store(batch)
        for delivery in batch:
            error = refused.get(delivery.received.envelope.id)
            if error is None:
                async with delivery:
                    pass
            else:
                await self._refuse(delivery, error)

    async def _store(self, batch: Sequence[Delivery]) -> dict[str, CorruptData]:
        """Write a batch in one transaction, or record by record when one cannot be stored; return those by id."""
        try:
            await self._until_it_works(lambda: self._write(batch))
        except CorruptData as error:
            if len(batch) == 1:
                return {batch[0].received.envelope.id: error}
            refused: dict[str, CorruptData] = {}
            for delivery in batch:
                refused |= await self._store([delivery])
            return refused
        return {}

    async def _refuse(self, delivery: Delivery, error: CorruptData) -> None:
        received = delivery.received
        self.handle_error(error, topic=received.topic, message=received.envelope.id, attempts=delivery.attempts)
        with suppress(CorruptData):
            async with delivery:
                raise error

    async def _write(self, batch: Sequence[Delivery]) -> None:
        received = [delivery.received for delivery in batch]
        with self.metrics.histogram("ledger_commit_seconds").time():
            async with self._database.writing() as connection:
                sink = Sink(connection, every_bars=self.settings.ledger.equity_every_bars)
                await sink.write(received, now_ns=time.time_ns())
        for kind, count in Counter(type(one.envelope.data).__name__ for one in received).items():
            self.metrics.counter("ledger_records_total").labels(kind).inc(count)
        for one in received:
            self._written[one.topic] = max(one.entry_id, self._written.get(one.topic, ""), key=entry_order)
        self._moved.set()

    async def _until_it_works(self, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat work while the database is away; what is in hand stays in hand."""
        delay = _FIRST_DELAY_S
        while True:
            try:
                await work()
            except (TransientError, ConfigError) as error:
                if not self._trouble or delay == _FIRST_DELAY_S:
                    self.logger.warning("database.lost", error=str(error))
                self._set_trouble(str(error))
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY_S)
            else:
                if self._trouble:
                    self.logger.info("database.reached", database=self._database.url)
                self._set_trouble("")
                return

    def _set_trouble(self, trouble: str) -> None:
        self._trouble = trouble
        self.metrics.gauge("database_up").set(not trouble)

    async def _settle(self) -> dict[str, int]:
        """Answer when everything that was in the streams at the time of asking is in the database.

        Raises:
            TransientError: that took too long.
        """
        ends = await self._stream_ends()
        self._asked += 1
        self._hurry.set()
        try:
            async with asyncio.timeout(_SETTLE_WITHIN_S):
                while not all(entry_order(self._written.get(topic, "")) >= end for topic, end in ends.items()):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise TransientError(
                f"the ledger is more than {_SETTLE_WITHIN_S:g} s behind; {self._trouble or 'ask again'}"
            ) from None
        finally:
            self._asked -= 1
            if not self._asked:
                self._hurry.clear()
        return {"topics": len(ends)}

    async def _stream_ends(self) -> dict[str, tuple[int, int]]:
        streams = await self.bus.streams(*self.topics)
        newest = {topic: await self.bus.history(topic, count=1) for topic in streams}
        return {topic: entry_order(entries[-1].entry_id) for topic, entries in newest.items() if entries}

    async def _every(self, period: str, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat work of the watch; the first time soon after the start, when the backlog is likely written."""
        await self._migrated.wait()
        ledger = self.settings.ledger
        await asyncio.sleep(min(ledger.check_s, getattr(ledger, period)))
        while True:
            try:
                await work()
            except (TransientError, ConfigError, CorruptData) as error:
                self.handle_error(error, task=period)
            await asyncio.sleep(getattr(self.settings.ledger, period))

    async def _watch_lag(self) -> None:
        gauge, beyond = self.metrics.gauge("ledger_lag"), self.metrics.gauge("stream_held")
        length = self.metrics.gauge("stream_length")
        while True:
            for topic in (self.bus.topics.ledger(), self.bus.topics.decisions()):
                gauge.labels(topic).set(await backlog(self.bus, topic, group=GROUP))
            for topic in self.topics:
                beyond.labels(topic).set(await surplus(self.bus, topic))
                length.labels(topic).set(await held(self.bus, topic))
            await asyncio.sleep(_LAG_EVERY_S)
