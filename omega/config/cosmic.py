"""The settings of cosmic readings: factors with weights and ramps, where they may act, the feeds behind them.

Part of the tree in `omega.config.models`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from omega.config.fields import BAR, LIVE, setting
from omega.config.section import Section
from omega.domain import from_iso

Orb = Annotated[float, Field(ge=0, le=30)]
"""Degrees; the smallest distance between two aspects is the widest."""


class Place(Section):
    """Where the observer stands."""

    latitude: float = setting(40.0, "north positive", unit="degree", ge=-90, le=90)
    longitude: float = setting(-74.0, "east positive", unit="degree", ge=-180, le=180)


class Factor(Section):
    """One cosmic factor's switch, weight and phasing out."""

    enabled: bool = setting(False, "whether it may move a decision", reload=BAR)
    weight: float = setting(0.0, "how much it may move it", unit="fraction", reload=BAR, ge=0, le=1)
    ramp: dict[Literal["from", "to"], str] = setting(
        dict, "from which instant on the weight falls, and at which it is 0; empty = never", reload=BAR
    )

    @model_validator(mode="after")
    def _both_ends(self) -> Factor:
        if self.ramp and (len(self.ramp) != 2 or from_iso(self.ramp["from"]) >= from_iso(self.ramp["to"])):  # noqa: PLR2004
            raise ValueError("a ramp has two ends, the earlier one first: {from: 2026-01-01, to: 2026-03-01}")
        return self


class Target(Section):
    """One thing of a decision that influences may move."""

    enabled: bool = setting(True, "whether influences may move it", reload=BAR)
    sensitivity: float = setting(1.0, "how much they may", unit="fraction", reload=BAR, ge=0, le=1)


class Targets(Section):
    """Where influences may act, each with its own sensitivity."""

    position_size: Target = setting(Target, "the size of an entry")
    entry_threshold: Target = setting(Target, "the confidence that an entry needs")
    exit_impulse: Target = setting(Target, "the impulse to leave")


class Fetched(Section):
    """How a feed is fetched over HTTP."""

    url: str = setting("", "where it is fetched: http or https")
    every_s: float = setting(900.0, "time between two attempts", unit="s", gt=0)
    timeout_s: float = setting(10.0, "time that one attempt may take", unit="s", gt=0, le=120)


class HttpFeed(Fetched):
    """A feed over HTTP; off until a person switches it on, for it leaves the farm."""

    enabled: bool = setting(False, "whether the service may fetch it")


class FearGreedFeed(HttpFeed):
    """The Crypto Fear & Greed index, once a day."""

    url: str = setting("https://api.alternative.me/fng/?limit=1", "where it is fetched: http or https")
    every_s: float = setting(1_800.0, "time between two attempts", unit="s", gt=0)


class KpFeed(HttpFeed):
    """The planetary index Kp, every three hours."""

    url: str = setting(
        "https://services.swpc.noaa.gov/products/noaa-planetary-k-index.json", "where it is fetched: http or https"
    )


class SchumannFeed(Fetched):
    """The Schumann resonance. There is no reliable public feed: none by default."""

    provider: Literal["none", "http", "simulated"] = setting(
        "none", "none, a JSON address of your own, or the seeded simulator (play values, for simulation alone)"
    )


class Feeds(Section):
    """What the readings of fetched factors come from. In a replay nothing comes from the network."""

    fear_greed: FearGreedFeed = setting(FearGreedFeed, "part of global_sentiment")
    kp: KpFeed = setting(KpFeed, "geomagnetic_activity")
    schumann: SchumannFeed = setting(SchumannFeed, "schumann_resonance")
    market: bool = setting(True, "market_liquidity and parts of global_sentiment from the farm's own quotes and bars")
    recorded: str = setting(
        "", "folder of recorded feeds (fear-greed-1d.csv, kp-ap-3h.csv) that a replay reads; empty = none"
    )


class Cosmic(Section):
    """Cosmic readings: master switch, factors, place and clock."""

    enabled: bool = setting(False, "master switch; off makes the interceptor the identity", reload=BAR)
    factors: dict[str, Factor] = setting(dict, "switch, weight and ramp by factor", reload=BAR)
    application: Targets = setting(Targets, "where influences may act, for bots that name no preset")
    place: Place = setting(Place, "the observer")
    orbs: dict[Literal["conjunction", "sextile", "square", "trine", "opposition"], Orb] = setting(
        dict, "how far from exact an aspect is still shown, in degrees by its name; empty = the usual ones"
    )
    feeds: Feeds = setting(Feeds, "what fetched factors read")
    clock: Literal["wall", "bars"] = setting("wall", "whose time readings describe: now, or the bar's in a replay")
    table_hours: int = setting(24 * 35, "how far ahead the sky is computed", unit="h", ge=24)
    publish_s: float = setting(60.0, "time between two publications", unit="s", reload=LIVE, gt=0)
