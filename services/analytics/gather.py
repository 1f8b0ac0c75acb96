"""Collect what an analysis reads: bars of the bus, positions of the gateway, trades of the ledger.

What nobody answers is missing, never made up: the analyses that need it say so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from omega.analytics.analysis import Input
from omega.analytics.context import Books, Held, Record
from omega.bus import AccountStatus, BarClosed, Bus, Received
from omega.config import Settings
from omega.domain import timeframe_ns
from omega.errors import Denied, OmegaError
from omega.telemetry import get_logger
from services.analytics.job import Job, Recorded

_ASK_NS: Final = 5_000_000_000
_STATUS_S: Final = 3.0
_STREAM: Final = 2_000
"""Bars that a stream of the bus keeps."""
_PAGE: Final = 500
_TRADES: Final = 5_000
_POINTS: Final = 2_000
logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: an analysis of a symbol's bars, with parameters, and perhaps a picture."""

    name: str
    symbol: str
    timeframe: str
    values: tuple[tuple[str, object], ...] = ()
    theme: str = ""


class Gatherer:
    """Reads on request; between two questions it holds nothing and hears nothing."""

    def __init__(self, bus: Bus, config: Callable[[], Settings]) -> None:
        self._bus = bus
        self._config = config

    async def job(self, question: Question, needs: frozenset[str]) -> Job:
        """Gather everything for one question.

        Raises:
            Denied: neither the bus nor the recorded data can have bars of this symbol.
        """
        settings = self._config()
        self._known(question.symbol)
        market, received_ns = await self._recorded(question.symbol, question.timeframe)
        job = Job(
            name=question.name,
            symbol=question.symbol,
            timeframe=question.timeframe,
            values=dict(question.values),
            now_ns=await self._now_ns(market),
            most=settings.analytics.bars,
            market=market,
            inputs=self._age(market, received_ns),
            data=settings.analytics.data,
            theme=question.theme,
        )
        if "bars" in needs:
            job = replace(job, peers=await self._peers(question))
        if "books" in needs:
            job = replace(job, **await self._books(job))
        if "trades" in needs:
            job = replace(job, **await self._records(job))
        return job

    async def newest_ns(self, symbol: str, timeframe: str) -> int:
        """Return the open time of the newest bar that the bus holds, 0 for none."""
        topic, _ = self._topic(symbol, timeframe)
        entries = await self._bus.history(topic, count=1)
        return max((bar.bar.ts_ns for bar in _closed(entries)), default=0)

    def _known(self, symbol: str) -> None:
        settings = self._config()
        if symbol not in settings.gateway.symbols and not settings.analytics.data:
            known = ", ".join(settings.gateway.symbols)
            raise Denied(
                f"the farm publishes no bars of {symbol!r}: ask for one of {known}, or name recorded bars "
                "(analytics.data)",
                rule="symbol",
            )

    def _topic(self, symbol: str, timeframe: str) -> tuple[str, str]:
        """Return the topic whose bars are, or can be made into, those of a timeframe, and how long its bars are."""
        settings = self._config()
        wanted = timeframe_ns(timeframe)
        published = [one for one in settings.gateway.timeframes if wanted % timeframe_ns(one) == 0]
        if not published:
            raise Denied(
                f"no {timeframe} bars can be made of {', '.join(settings.gateway.timeframes)}: ask for a longer "
                "timeframe, or add one to gateway.timeframes",
                rule="timeframe",
            )
        nearest = max(published, key=timeframe_ns)
        return self._bus.topics.bar(settings.trading.venue, symbol, nearest), nearest

    async def _recorded(self, symbol: str, timeframe: str) -> tuple[Recorded, int]:
        topic, length = self._topic(symbol, timeframe)
        closed = _closed(await self._bus.history(topic, count=_STREAM))
        received_ns = max((one.received_ns for one in closed), default=0)
        return Recorded(symbol, length, tuple(one.bar for one in closed)), received_ns

    async def _now_ns(self, market: Recorded) -> int:
        """Return the close of the farm's newest bar: in a replay that is the time. Without any bar it is wall time."""
        if market.bars:
            return max(bar.ts_ns for bar in market.bars) + timeframe_ns(market.timeframe)
        settings = self._config()
        for symbol in settings.gateway.symbols:
            newest = await self.newest_ns(symbol, settings.gateway.timeframes[0])
            if newest:
                return newest + timeframe_ns(settings.gateway.timeframes[0])
        return time.time_ns()

    def _age(self, market: Recorded, received_ns: int) -> tuple[Input, ...]:
        if not market.bars:
            return ()
        length = timeframe_ns(market.timeframe)
        closed = max(bar.ts_ns for bar in market.bars) + length
        age_s = max(time.time_ns() - received_ns, 0) / 1e9
        late = age_s > self._config().trading.stale_bars * length / 1e9
        source = f"the gateway's {market.timeframe} stream" + (", which is late" if late else "")
        return (Input(f"newest bar of {market.symbol}", source, closed, age_s),)

    async def _peers(self, question: Question) -> tuple[Recorded, ...]:
        others = [one for one in self._config().gateway.symbols if one != question.symbol]
        return tuple([(await self._recorded(one, question.timeframe))[0] for one in others])

    async def _books(self, job: Job) -> dict[str, Any]:
        """Wait for the gateway's next account status: it comes every second and nobody need ask for it."""
        settings = self._config()
        topic = self._bus.topics.account_status(settings.trading.venue, settings.trading.account)
        try:
            async with asyncio.timeout(_STATUS_S), self._bus.signals(topic) as statuses:
                async for received in statuses:
                    if isinstance(status := received.envelope.data, AccountStatus):
                        age_s = max(time.time_ns() - received.envelope.ts_ns, 0) / 1e9
                        seen = Input("open positions", "the gateway's books", received.envelope.ts_ns, age_s)
                        return {"books": _books(status), "inputs": (*job.inputs, seen)}
        except TimeoutError:
            logger.warning("input.missing", service="gateway", method="status", error=f"silent for {_STATUS_S:g} s")
        return {}

    async def _records(self, job: Job) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        cursor = ""
        while len(rows) < _TRADES:
            page = await self._ask("ledger", "trades", limit=_PAGE, cursor=cursor)
            if not isinstance(page, dict):
                return {}
            rows += page["trades"]
            cursor = page["cursor"]
            if not cursor:
                break
        bots = sorted({*(row["bot"] for row in rows), *self._config().bots})
        records = [one for bot in bots if (one := await self._record(bot, rows)) is not None]
        newest = f"the newest {len(rows):,} " if cursor else ""
        seen = Input(f"{newest}round trips and equity", "the ledger's database", time.time_ns(), 0.0)
        return {"records": tuple(records), "inputs": (*job.inputs, seen)}

    async def _record(self, bot: str, rows: list[dict[str, Any]]) -> Record | None:
        curve = await self._ask("ledger", "equity", bot=bot, points=_POINTS)
        if not isinstance(curve, dict) or not curve["points"]:
            return None
        points = tuple((int(one["close_ns"]), float(one["equity"])) for one in curve["points"])
        return Record(bot, float(curve["capital"]), points, tuple(row for row in rows if row["bot"] == bot))

    async def _ask(self, service: str, method: str, **params: str | int) -> object:
        try:
            return await self._bus.ask(service, method, params, within_ns=_ASK_NS)
        except OmegaError as error:  # the rest of the answer does not wait for a service that is gone
            logger.warning("input.missing", service=service, method=method, error=str(error))
            return None


def _closed(entries: list[Received]) -> list[BarClosed]:
    return [one.envelope.data for one in entries if isinstance(one.envelope.data, BarClosed)]


def _books(status: AccountStatus) -> Books:
    held = tuple(
        Held(
            account=status.account,
            bot=line.bot,
            symbol=line.symbol,
            size=float(line.size),
            entry=float(line.entry),
            mark=float(line.mark),
            stop=float(line.stop_trigger),
        )
        for line in status.books
        if line.size
    )
    return Books(float(status.equity), held)
