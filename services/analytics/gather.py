"""Collect what an analysis reads: bars of the bus, open positions of the gateway, trades of the ledger.

What nobody answers is missing, never made up: the analyses that need it say so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from omega.analytics.analysis import Input
from omega.analytics.context import Held, RoundTrip
from omega.bus import BarClosed, Bus, Received
from omega.config import Settings
from omega.domain import timeframe_ns
from omega.errors import CorruptData, Denied, OmegaError
from omega.telemetry import get_logger
from services.analytics.job import Job, Recorded

_ASK_NS: Final = 2_000_000_000
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
            job = replace(job, **await self._trades(job))
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
        answer = await self._ask("gateway", "positions")
        if not isinstance(answer, list):
            return {}
        marks = {job.symbol: job.market.bars[-1].close} if job.market.bars else {}
        marks |= {one.symbol: one.bars[-1].close for one in job.peers if one.bars}
        leverage = float(self._config().trading.max_leverage)
        held = tuple(_held(row, marks, leverage) for row in answer)
        return {"books": held, "inputs": (*job.inputs, _now("open positions", "the gateway's books"))}

    async def _trades(self, job: Job) -> dict[str, Any]:
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
        settings = self._config()
        bots = sorted({row["bot"] for row in rows})
        equity, capital = {}, 0.0
        for bot in bots:
            curve = await self._ask("ledger", "equity", bot=bot, points=_POINTS)
            if isinstance(curve, dict):
                equity[bot] = tuple((int(one["close_ns"]), float(one["equity"])) for one in curve["points"])
                capital += float(curve["capital"])
        trips = sorted((_trip(row) for row in rows if row["closed_ns"]), key=lambda trip: trip.closed_ns)
        return {
            "trades": tuple(trips),
            "equity": equity,
            "capital": capital or float(settings.trading.capital),
            "inputs": (*job.inputs, _now("round trips", "the ledger's database")),
        }

    async def _ask(self, service: str, method: str, **params: str | int) -> object:
        try:
            return await self._bus.ask(service, method, params, within_ns=_ASK_NS)
        except OmegaError as error:  # the rest of the answer does not wait for a service that is gone
            logger.warning("input.missing", service=service, method=method, error=str(error))
            return None


def _closed(entries: list[Received]) -> list[BarClosed]:
    return [one.envelope.data for one in entries if isinstance(one.envelope.data, BarClosed)]


def _now(name: str, source: str) -> Input:
    return Input(name, source, time.time_ns(), 0.0)


def _held(row: Mapping[str, Any], marks: Mapping[str, float], leverage: float) -> Held:
    try:
        symbol, size = str(row["symbol"]), float(row["size"])
        entry, stop = float(row["entry"]), float(row["stop_trigger"])
    except (KeyError, ValueError) as error:
        raise CorruptData(
            f"the gateway answered with an unsound position ({error}); bring both to one version"
        ) from None
    return Held(str(row["bot"]), symbol, size, entry, stop, marks.get(symbol, 0.0), leverage)


def _trip(row: Mapping[str, Any]) -> RoundTrip:
    try:
        return RoundTrip(
            bot=str(row["bot"]),
            symbol=str(row["symbol"]),
            opened_ns=int(row["opened_ns"]),
            closed_ns=int(row["closed_ns"] or 0),
            net=float(row["net"]),
            fees=float(row["fees"]),
            volume=float(row["entered"]) * float(row["entry"]),
        )
    except (KeyError, ValueError) as error:
        raise CorruptData(f"the ledger answered with an unsound trade ({error}); bring both to one version") from None
