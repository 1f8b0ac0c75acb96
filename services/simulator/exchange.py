"""The exchange: one venue, its clock and who listens. Moved by the admin API in lock-step, else by the running clock.

Private frames of an event leave before public ones; the feed is whatever the WebSocket hub, or a test, provides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from omega.domain.time import MS_NS, from_iso
from services.simulator import liquidation, matching
from services.simulator.account import open_account
from services.simulator.candles import MINUTE_MS, Candles, load_folder
from services.simulator.funding_rates import INTERVAL_MS, load_rates
from services.simulator.inputs import InputLog, Kind
from services.simulator.instruments import load_catalogue
from services.simulator.options import SimulatorOptions
from services.simulator.outbox import Private
from services.simulator.replay import Range, Replay
from services.simulator.state import Venue

MAX_PARTS = 12
_PART_SECONDS = 0.05


class Feed(Protocol):
    """Who carries frames to clients."""

    async def private(self, frames: Iterable[Private]) -> int:
        """Send private frames; return how many frames went to sockets."""

    async def public(self) -> None:
        """Send what is new on the public channels."""


class Exchange:
    """One local exchange.

    Attributes:
        venue: the state; a reset puts a fresh one here.
        feed: who carries frames to clients.
        inputs: the log of what moved the venue.
        steps: how many minutes were closed.
    """

    def __init__(self, options: SimulatorOptions, series: dict[str, Candles]) -> None:
        self.options = options
        self.series = series
        self.venue = self._fresh()
        self.feed: Feed | None = None
        self.inputs = InputLog(options)
        self.steps = 0
        self.published = True
        self._paths: dict[str, list[Range]] = {}
        self._part = 0

    def _fresh(self) -> Venue:
        options, series = self.options, self.series
        first = max(int(candles.ts[0]) for candles in series.values())
        start = from_iso(options.start) // MS_NS if options.start else first + options.warmup * MINUTE_MS
        return Venue(
            options=options,
            catalogue=load_catalogue(series),
            replay=Replay(series, start_ms=start, seed=options.seed),
            rates=load_rates(options.data / "funding", series, options.default_funding),
            accounts={spec.key: open_account(spec, options.leverage) for spec in options.accounts},
        )

    def reset(self) -> None:
        """Go back to the first state: clock, accounts, orders."""
        self.venue = self._fresh()
        self.inputs.restart()
        self.published = True
        self._paths = {}
        self._part = 0

    async def flush(self) -> int:
        """Send the private frames of what just happened; return how many frames sockets took."""
        frames = list(self.venue.outbox.drain())
        if not frames or self.feed is None:
            return 0
        return await self.feed.private(frames)

    # ---- lock-step

    def work_minute(self) -> bool:
        """Work one whole minute out by rule; False when the candles have ended. Nobody is told yet."""
        venue, replay = self.venue, self.venue.replay
        if not replay.remaining:
            return False
        bars = {symbol: replay.bar(symbol) for symbol in self.series}
        for symbol, bar in bars.items():
            matching.open_stretch(venue, symbol, bar)
        replay.now_ms += MINUTE_MS
        for symbol, bar in bars.items():
            matching.run_stretch(venue, symbol, bar)
        self._close_minute()
        return True

    async def step_orders(self) -> int:
        """Work one minute out and send its private frames. The public ones wait for `publish`."""
        await self.publish()
        if not self.work_minute():
            return 0
        self.inputs.note(Kind.STEP)
        self.published = False
        return await self.flush()

    async def publish(self) -> None:
        """Send the public frames of the minute that was worked out last, once."""
        if not self.published:
            self.published = True
            if self.feed is not None:
                await self.feed.public()

    def _close_minute(self) -> None:
        self.venue.replay.close_minute()
        self.steps += 1
        if self.venue.now_ms % INTERVAL_MS == 0:
            liquidation.settle_funding(self.venue)

    # ---- the running clock

    @property
    def parts(self) -> int:
        """Into how many stretches a minute is cut at the clock's speed."""
        seconds = MINUTE_MS / 1000 / self.options.speed
        return max(1, min(MAX_PARTS, int(seconds / _PART_SECONDS)))

    def work_stretch(self) -> bool:
        """Walk to the end of the next stretch; False when the candles have ended. Nobody is told yet."""
        venue, replay = self.venue, self.venue.replay
        if not replay.remaining:
            return False
        if not self._paths:
            self._paths = {symbol: replay.path(symbol, self.parts) for symbol in self.series}
        for symbol, path in self._paths.items():
            replay.now_ms = path[self._part].end_ms
            replay.show(symbol, path[self._part])
            matching.run_stretch(venue, symbol, path[self._part])
        self._part += 1
        if self._part == self.parts:
            self._part = 0
            self._paths = {}
            self._close_minute()
        return True

    async def run_stretch(self) -> bool:
        """Walk to the end of the next stretch and tell everybody; False when the candles have ended."""
        if not self.work_stretch():
            return False
        self.inputs.note(Kind.STRETCH)
        await self.flush()
        if self.feed is not None:
            await self.feed.public()
        return True


def load_exchange(options: SimulatorOptions) -> Exchange:
    """Read the candles that the options name and open the exchange over them.

    Raises:
        ConfigError: a folder, a symbol or the start is wrong.
        CorruptData: a candle or funding file breaks its format.
    """
    series = load_folder(options.data / "candles", options.symbols, fill_gaps=options.fill_gaps)
    return Exchange(options, series)
