"""All feeds of the service as one: which of them run, and what each says at an instant. Built once from the settings.

In a replay (`cosmic.clock: bars`) nothing runs: what there is comes from recorded files or is computed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from omega.backtest.feeds import Feed, feeds_in, hear_recorded
from omega.bus.port import Bus
from omega.config import Fetched, Settings
from omega.cosmic.feeds import Rule, Track
from omega.cosmic.readings import Heard
from omega.cosmic.sentiment import blended
from omega.domain import Mode
from omega.telemetry import Metrics
from services.cosmic.feeds import fear_greed, kp, schumann
from services.cosmic.feeds.coordinator import Coordinator, Fetch
from services.cosmic.feeds.http import host_of
from services.cosmic.feeds.market import Market


class Sources:
    """What fetched factors read.

    Attributes:
        tracks: the judged samples by feed.
        coordinators: those that are polled.
        market: what is heard on the bus, None in a replay or when it is switched off.
    """

    def __init__(self, settings: Settings, bus: Bus, metrics: Metrics) -> None:
        self.tracks: dict[str, Track] = {}
        self.coordinators: list[Coordinator] = []
        self.market: Market | None = None
        self._recorded: dict[str, Feed] = {}
        self._seed, self._live = settings.training.seed, settings.trading.mode is Mode.LIVE
        self._provider = settings.cosmic.feeds.schumann.provider
        if settings.cosmic.clock == "bars":
            folder = settings.cosmic.feeds.recorded
            self._recorded = {feed.factor: feed for feed in feeds_in(Path(folder))} if folder else {}
            return
        self._add_http(settings, bus, metrics)
        if settings.cosmic.feeds.market:
            self.market = Market(bus, settings.trading.venue, list(settings.gateway.symbols))
            self.tracks |= {"liquidity": self.market.liquidity, "funding": self.market.funding}
            self.tracks["change"] = self.market.change

    def hear(self, feed: str, at_ns: int, *, retrograde: bool = False) -> Heard | None:
        """Return what a feed says at an instant, None when it has said nothing.

        Args:
            feed: its name, as factors name it.
            at_ns: the instant, ns UTC.
            retrograde: whether Mercury is, for the simulator of the Schumann resonance.
        """
        if self._recorded and (recorded := hear_recorded(self._recorded, feed, at_ns)) is not None:
            return recorded
        if feed == "schumann" and self._provider == "simulated":
            return schumann.played(self._seed, at_ns, retrograde=retrograde, live=self._live)
        if feed == "sentiment":
            return blended({name: self._at(name, at_ns) for name in ("fear_greed", "funding", "change")})
        heard = self._at(feed, at_ns)
        return schumann.modelled(at_ns) if heard is None and feed == "schumann" else heard

    def states(self, now_ns: int) -> dict[str, Mapping[str, str | float]]:
        """Return state, raw value, age and source of every feed that has been heard, by name."""
        found = {name: track.at(now_ns) for name, track in self.tracks.items()}
        return {
            name: {
                "state": heard.state.value,
                "raw": heard.raw,
                "age_s": max((now_ns - heard.as_of_ns) / 1e9, 0.0),
                "source": heard.source,
            }
            for name, heard in found.items()
            if heard is not None
        }

    def _at(self, name: str, at_ns: int) -> Heard | None:
        track = self.tracks.get(name)
        return None if track is None else track.at(at_ns)

    def _add_http(self, settings: Settings, bus: Bus, metrics: Metrics) -> None:
        feeds = settings.cosmic.feeds
        rows: list[tuple[bool, str, Fetched, Rule, Fetch]] = [
            (
                feeds.fear_greed.enabled,
                fear_greed.NAME,
                feeds.fear_greed,
                fear_greed.RULE,
                lambda: fear_greed.fetch(feeds.fear_greed),
            ),
            (feeds.kp.enabled, kp.NAME, feeds.kp, kp.RULE, lambda: kp.fetch(feeds.kp, time.time_ns())),
            (
                self._provider == "http",
                schumann.NAME,
                feeds.schumann,
                schumann.RULE,
                lambda: schumann.fetch(feeds.schumann),
            ),
        ]
        for wanted, name, feed, rule, fetch in rows:
            if wanted:
                host_of(feed.url)  # an address that is none refuses the start
                track = self.tracks[name] = Track(rule)
                found = Coordinator(name, track, fetch, every_s=feed.every_s, bus=bus, metrics=metrics)
                self.coordinators.append(found)
