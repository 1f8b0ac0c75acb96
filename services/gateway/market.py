"""Market data for the bots: each closed bar once, in order, none that is not proven closed; the best prices, conflated.

A row is final when the venue's own time has reached its close or when a newer row exists. A hole is filled by REST
before anything newer goes out; what cannot be right is kept aside.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from omega.bus.messages import BarClosed, Quote
from omega.bus.port import Bus
from omega.domain import Bar, timeframe_ns
from omega.errors import CorruptData, Denied, OmegaError
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.stops import StopKeeper
from services.gateway.venue import Candles, Tick

Stream = tuple[str, str]
"""(symbol, timeframe)"""

_CHUNK: Final = 200
_RETRY_S: Final = 1.0
_FIRST_PUSH_S: Final = 5.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _Track:
    """What is known of one stream: the newest bar that was sent, and rows behind it that were not."""

    span: int
    count: Callable[[], None]
    """Counts a bar that was sent; looked up once."""
    sent_ns: int = 0
    rows: dict[int, Bar] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)
    warm: bool = False
    filling: bool = False
    arrived_s: float = 0.0


class Market:
    """Hears candles and prices, sends bars and quotes."""

    def __init__(self, account: Account, bus: Bus, keeper: StopKeeper) -> None:
        self._account = account
        self._bus = bus
        self._keeper = keeper
        self._tracks: dict[Stream, _Track] = {}
        gateway = account.settings.gateway
        for symbol in gateway.symbols:
            for timeframe in gateway.timeframes:
                total = account.metrics.counter("bars_total").labels(account.venue_name, symbol, timeframe)
                self._tracks[symbol, timeframe] = _Track(timeframe_ns(timeframe), total.inc)
        self._out: deque[BarClosed] = deque()
        self._wake = asyncio.Event()
        self._gaps: asyncio.Queue[Stream] = asyncio.Queue()
        self._ticks: dict[str, Tick] = {}
        self._fresh_ticks: set[str] = set()

    # hearing --------------------------------------------------------------------------------------------------------

    def hear_candles(self, candles: Candles) -> None:
        """Take one push of candles and let out what it proves closed."""
        stream = (candles.symbol, candles.timeframe)
        track = self._tracks.get(stream)
        if track is None:
            return
        for row in candles.rows:
            if row.ts_ns > track.sent_ns:
                self._keep(stream, track, row)
        newest = track.rows.get(max(track.rows, default=0))
        if newest is not None:
            self._account.last[candles.symbol] = Decimal(repr(newest.close))
        if track.warm and not track.filling:
            self._let_out(stream, track, candles.venue_ns, candles.received_ns)

    def hear_tick(self, tick: Tick) -> None:
        """Take one push of prices; a crossed or broken one is kept out."""
        prices = (tick.bid, tick.ask, tick.last, tick.mark)
        if not all(math.isfinite(price) and price > 0 for price in prices) or tick.bid >= tick.ask:
            self._account.metrics.counter("bars_quarantined_total").labels(self._account.venue_name, tick.symbol).inc()
            return
        self._ticks[tick.symbol] = tick
        self._fresh_ticks.add(tick.symbol)
        self._account.last[tick.symbol] = Decimal(repr(tick.last))

    @property
    def ticks(self) -> dict[str, Tick]:
        """The newest prices by symbol."""
        return self._ticks

    def lost(self) -> None:
        """Take note that the public socket was lost: prices are old, and bars may be missing."""
        self._ticks.clear()
        self._fresh_ticks.clear()

    def _keep(self, stream: Stream, track: _Track, row: Bar) -> None:
        try:
            track.rows[row.ts_ns] = row.checked(f"{stream[0]} {stream[1]}")
        except CorruptData as error:
            track.rows.pop(row.ts_ns, None)
            if row.ts_ns not in track.bad:
                track.bad.add(row.ts_ns)
                self._account.metrics.counter("bars_quarantined_total").labels(
                    self._account.venue_name, stream[0]
                ).inc()
                _log.warning("bar.quarantined", symbol=stream[0], timeframe=stream[1], why=str(error))

    def _let_out(self, stream: Stream, track: _Track, venue_ns: int, received_ns: int) -> None:
        """Send the rows that are final and follow without a hole; ask for what is missing."""
        newest = max(track.rows, default=0)
        for ts in sorted(track.rows):
            if venue_ns < ts + track.span and newest <= ts:
                return
            if track.sent_ns and ts > track.sent_ns + track.span:
                track.filling = True
                _log.warning("bars.missing", symbol=stream[0], timeframe=stream[1], after_ns=track.sent_ns, found_ns=ts)
                self._gaps.put_nowait(stream)
                return
            self._send(stream, track, track.rows.pop(ts), received_ns)

    def _send(self, stream: Stream, track: _Track, bar: Bar, received_ns: int) -> None:
        account, (symbol, timeframe) = self._account, stream
        track.sent_ns = bar.ts_ns
        track.bad.discard(bar.ts_ns)
        track.arrived_s = time.monotonic()
        account.newest_bar_ns[stream] = bar.ts_ns
        account.bar_received(symbol, bar.ts_ns, received_ns)
        track.count()
        account.on_bar(symbol, timeframe, bar)
        self._out.append(BarClosed(account.venue_name, symbol, timeframe, bar, received_ns))
        self._wake.set()

    # sending --------------------------------------------------------------------------------------------------------

    async def run_bars(self) -> None:
        """Send closed bars in order, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(0)  # the bars of other symbols that came with this one go with it
            self._wake.clear()
            while self._out:
                batch = list(self._out)
                self._account.on_bars()
                await self._publish(batch)
                for message in batch:
                    self._out.popleft()
                    low, high = Decimal(repr(message.bar.low)), Decimal(repr(message.bar.high))
                    await self._keeper.watch(message.symbol, low, high)
                self._account.activity.changed()

    async def run_quotes(self) -> None:
        """Send the latest prices of each symbol, at most so often, until cancelled."""
        while True:
            await asyncio.sleep(1.0 / self._account.settings.gateway.quotes_per_s)
            for symbol in tuple(self._fresh_ticks):
                self._fresh_ticks.discard(symbol)
                tick = self._ticks.get(symbol)
                if tick is not None:
                    self._account.metrics.counter("quotes_total").labels(self._account.venue_name, symbol).inc()
                    await self._bus.send(
                        Quote(
                            self._account.venue_name,
                            symbol,
                            tick.bid,
                            tick.ask,
                            tick.last,
                            tick.mark,
                            tick.venue_ns,
                            bid_size=tick.bid_size,
                            ask_size=tick.ask_size,
                            funding=tick.funding,
                            change_24h=tick.change_24h,
                        )
                    )

    async def run_gaps(self) -> None:
        """Fill holes by REST, until cancelled."""
        while True:
            stream = await self._gaps.get()
            track = self._tracks[stream]
            try:
                while not await self._fill(stream, track):  # noqa: ASYNC110 - a retry, not a poll of our own state
                    await asyncio.sleep(_RETRY_S)
            finally:
                track.filling = False
            self._let_out(stream, track, self._account.venue.venue_ns(), time.time_ns())

    @property
    def idle(self) -> bool:
        """Tell whether every bar that is known closed is on the bus."""
        return not self._out and not any(track.filling for track in self._tracks.values())

    @property
    def warm(self) -> bool:
        """Tell whether every stream has its history."""
        return all(track.warm for track in self._tracks.values())

    def update_metrics(self) -> None:
        """Write ages and staleness."""
        account, now = self._account, time.monotonic()
        stale = account.venue.silence_s() > account.settings.gateway.stale_s
        for (symbol, timeframe), track in self._tracks.items():
            if track.arrived_s:
                age = account.metrics.gauge("bar_age_seconds").labels(account.venue_name, symbol, timeframe)
                age.set(now - track.arrived_s)
            account.metrics.gauge("market_stale").labels(account.venue_name, symbol).set(stale)

    # history --------------------------------------------------------------------------------------------------------

    async def warm_up(self) -> None:
        """Send the history of every stream that the bus does not hold yet, then let the live rows follow.

        Its bars carry received_ns 0: they are history, no bot decides on them.

        Raises:
            TransientError: the venue does not answer.
        """
        await self._first_push()
        for stream, track in self._tracks.items():
            if not track.warm:
                await self._warm(stream, track)

    async def _first_push(self) -> None:
        """Wait for the venue's own time, by which it is known what has closed."""
        until = time.monotonic() + _FIRST_PUSH_S
        while not self._account.venue.venue_ns() and time.monotonic() < until:  # noqa: ASYNC110 - once, at start
            await asyncio.sleep(0.01)

    async def _warm(self, stream: Stream, track: _Track) -> None:
        symbol, timeframe = stream
        account = self._account
        topic = self._bus.topics.bar(account.venue_name, symbol, timeframe)
        held = await self._bus.history(topic, count=1)
        known = held[-1].envelope.data.bar.ts_ns if held and isinstance(held[-1].envelope.data, BarClosed) else 0
        async with account.turns.market():
            rows = await account.venue.candles(symbol, timeframe, limit=account.settings.runner.window)
        if not rows:
            track.warm = True
            return
        closed_by = max(account.venue.venue_ns(), rows[-1].ts_ns)
        final = [row for row in rows if row.ts_ns + track.span <= closed_by]
        for row in final:
            account.risk.bar(symbol, timeframe, row.ts_ns, row.close)
        fresh = [row for row in final if row.ts_ns > known]
        # The bar that has closed last is news, also when it comes by REST after a restart; the others are history.
        news = final[-1].ts_ns if final and closed_by - final[-1].ts_ns < 2 * track.span and known else 0
        await self._publish_history(stream, fresh, news_ns=news)
        track.sent_ns = max([known, *(row.ts_ns for row in final)])
        account.newest_bar_ns[stream] = track.sent_ns
        account.last.setdefault(symbol, Decimal(repr(rows[-1].close)))
        track.rows = {ts: row for ts, row in track.rows.items() if ts > track.sent_ns}
        track.warm = True
        self._let_out(stream, track, account.venue.venue_ns(), time.time_ns())
        _log.info("bars.warmed_up", symbol=symbol, timeframe=timeframe, sent=len(fresh), known_ns=known)

    async def _publish_history(self, stream: Stream, bars: list[Bar], *, news_ns: int) -> None:
        now = time.time_ns()
        sound = [bar for bar in bars if self._sound(stream, bar)]
        for start in range(0, len(sound), _CHUNK):
            chunk = sound[start : start + _CHUNK]
            venue = self._account.venue_name
            await self._bus.send_many(
                [BarClosed(venue, *stream, bar, now if bar.ts_ns == news_ns else 0) for bar in chunk]
            )

    async def _fill(self, stream: Stream, track: _Track) -> bool:
        """Fetch what lies between the last bar sent and the first row kept; False to try again."""
        symbol, timeframe = stream
        account = self._account
        first = min(track.rows, default=0)
        missing = (first - track.sent_ns) // track.span
        try:
            async with account.turns.market():
                rows = await account.venue.candles(
                    symbol, timeframe, limit=int(missing) + 2, since_ns=track.sent_ns + track.span
                )
        except OmegaError as error:
            _log.warning("bars.not_filled", symbol=symbol, timeframe=timeframe, why=str(error)[:200])
            return False
        found = [row for row in rows if track.sent_ns < row.ts_ns < first and self._sound(stream, row)]
        for row in sorted(found, key=lambda bar: bar.ts_ns):
            account.metrics.counter("bar_gaps_total").labels(account.venue_name, symbol).inc()
            self._send(stream, track, row, 0)
        if track.sent_ns + track.span < first:
            _log.warning("bars.absent", symbol=symbol, timeframe=timeframe, after_ns=track.sent_ns, before_ns=first)
            track.sent_ns = first - track.span
        return True

    def _sound(self, stream: Stream, bar: Bar) -> bool:
        try:
            bar.checked(f"{stream[0]} {stream[1]}")
        except CorruptData as error:
            self._account.metrics.counter("bars_quarantined_total").labels(self._account.venue_name, stream[0]).inc()
            _log.warning("bar.quarantined", symbol=stream[0], timeframe=stream[1], why=str(error))
            return False
        return True

    async def _publish(self, batch: list[BarClosed]) -> None:
        """Send bars in one round trip, each stream in its order; their ids make a repeat after a restart harmless."""
        try:
            await self._bus.send_many(batch, message_ids=[_bar_id(message) for message in batch])
        except Denied:
            for message in batch:
                await self._publish_one(message)

    async def _publish_one(self, message: BarClosed) -> None:
        """Send one bar when the bus does not take all of them; one that it has already is a repeat."""
        try:
            await self._bus.send(message, message_id=_bar_id(message))
        except Denied as error:
            _log.warning("bar.dropped", symbol=message.symbol, ts_ns=message.bar.ts_ns, why=str(error))


def _bar_id(message: BarClosed) -> str:
    return f"bar:{message.venue}:{message.symbol}:{message.timeframe}:{message.bar.ts_ns}"
