"""Psychology and cosmic influence over a history: a trader's traits, and hourly columns that the loop looks up.

Made by `load_influences` for the command line and for experiments; read by `backtest`. No value is used before it was
known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from math import isnan
from pathlib import Path
from typing import Any, Final

import numpy as np

from omega import plugins
from omega.backtest.feeds import Feed
from omega.backtest.presets import OFF, Preset, load_preset, load_trader
from omega.backtest.regimes import regimes_of
from omega.backtest.skies import HOUR_NS, sky_history
from omega.domain import AuditEntry
from omega.engine.adaptation import Adaptation, trait_moves, traits_by_regime
from omega.engine.bars import F64, I8, I64, Bars
from omega.engine.conditions import BY_TIME, MOON, share_of, summed, time_conditions, time_shares
from omega.engine.influence import Reach, moon_sector
from omega.engine.profile import NEUTRAL, NEUTRAL_MIND, Mind, Profile, Traits
from omega.engine.ramps import ramped
from omega.engine.regime import Regime, regimes
from omega.errors import ConfigError

Readings = Callable[[str, I64], F64 | None]
"""(factor, full hours in ns UTC) -> its quantity at each, NaN where unknown; None for a factor without a history."""
_KEPT: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class CosmicSeries:
    """Weighted and combined influences by the hour.

    A decision at the close of a bar reads row `(close - start_ns) // step_ns`: the hour that has begun.

    Shapes: risk, confidence and emotion are (m,).
    Units: start_ns and step_ns in ns; shares that add to 1; reach holds the sensitivities of the targets.
    """

    start_ns: int
    step_ns: int
    risk: F64
    confidence: F64
    emotion: F64
    reach: Reach

    def covers(self, ts: I64, timeframe_ns: int) -> bool:
        """Tell whether there is a row for the close of every bar."""
        if not len(ts):
            return True
        return self.start_ns <= int(ts[0]) and self.row(int(ts[-1]), timeframe_ns) < len(self.risk)

    def row(self, ts_ns: int, timeframe_ns: int) -> int:
        """Return the row that a decision at the close of the bar at ts_ns reads."""
        return (ts_ns + timeframe_ns - self.start_ns) // self.step_ns

    def shifted(self, rows: int) -> CosmicSeries:
        """Return the placebo: the same influences moved in a circle, so that every statistic but the timing stays."""
        return next(self.placebos([rows])) if rows else self

    def placebos(self, shifts: Iterable[int]) -> Iterator[CosmicSeries]:
        """Iterate over the placebos of some shifts; they are views of one array, and as cheap as that."""
        n = len(self.risk)
        risk, confidence, emotion = (np.tile(column, 2) for column in (self.risk, self.confidence, self.emotion))
        for rows in shifts:
            now = slice(-rows % n, -rows % n + n)
            yield replace(self, risk=risk[now], confidence=confidence[now], emotion=emotion[now])


@dataclass(frozen=True, slots=True, eq=False)
class Influences:
    """Everything that psychology and cosmic factors need over a history; both are off unless given.

    Attributes:
        adapts: how the profile's traits follow the regime of the market.
        live: apply live mode's clamps, under which risk only shrinks.
        names: what was asked for, for the result's settings.
        without_history: weighted factors whose past nobody knows, or that no file registers; they count as neutral.
    """

    profile: Profile | None = None
    adapts: tuple[Adaptation, ...] = ()
    cosmic: CosmicSeries | None = None
    live: bool = False
    seed: int | None = None
    names: Mapping[str, Any] = field(default_factory=dict)
    without_history: tuple[str, ...] = ()

    @property
    def traits(self) -> tuple[Traits, Traits, Traits, Traits]:
        """The profile as the kernel reads it, under every regime; neutral when there is none."""
        if self.profile is None:
            return NEUTRAL, NEUTRAL, NEUTRAL, NEUTRAL
        return traits_by_regime(self.profile, self.adapts, self.seed)

    def regimes(self, bars: Bars) -> I8:
        """Return what the traits of every bar go by, (n,); where nothing adapts the market counts as mixed."""
        return regimes_of(bars) if self.adapts else np.zeros(bars.n, np.int8)

    def moves(self, bars: Bars) -> list[tuple[int, AuditEntry]]:
        """List every move of a trait as (open time of the bar, entry), as the runner's decisions record them."""
        if self.profile is None or not self.adapts:
            return []
        named = regimes(bars)
        changes = np.flatnonzero(np.diff(named, prepend=named.dtype.type(Regime.MIXED)))
        return [
            (int(bars.ts[row]), entry)
            for row in changes.tolist()
            for entry in trait_moves(
                self.profile, self.adapts, Regime(int(named[row - 1]) if row else 0), Regime(int(named[row]))
            )
        ]

    @property
    def first_mind(self) -> Mind:
        """The state of mind before the first trade."""
        return NEUTRAL_MIND if self.profile is None else self.profile.first_mind()

    def settings(self) -> dict[str, Any]:
        """Return what is needed to load the same again, as JSON values."""
        return {
            **self.names,
            "live": self.live,
            "profile": None if self.profile is None else asdict(self.profile),
            "adapts": [asdict(one) for one in self.adapts],
            "without_history": list(self.without_history),
        }


def load_influences(
    profile: str | Profile,
    preset: str | Preset,
    ts: I64,
    *,
    timeframe_ns: int = 0,
    shift: int = 0,
    seed: int | None = None,
    live: bool = False,
    adapts: tuple[Adaptation, ...] = (),
    readings: Readings | None = None,
    feeds: Sequence[Feed] = (),
    config_dir: Path | None = None,
) -> Influences:
    """Load a trader's profile and a cosmic preset for the bars of a history; "off" leaves either out.

    Args:
        profile: a name under config/psychology, a file, or the profile itself.
        preset: a name under config/cosmic_presets, `only_FACTOR`, a file, or the preset itself.
        ts: open times of the bars, (n,), ns UTC, rising.
        timeframe_ns: length of a bar; the smallest step between bars when absent.
        shift: hours by which the cosmic series is moved in a circle: a placebo.
        seed: of the psychology's stream, the profile's own when absent.
        live: apply live mode's clamps.
        adapts: how the traits of a profile that is given itself follow the regime; a file has its own.
        readings: where the past of a factor comes from; the registered factors' own functions when absent.
        feeds: recorded series; they come before calculated ones.
        config_dir: the directory of base.yaml.

    Raises:
        ConfigError: a name is unknown, a file is unsound, there is no bar, or the profile may not run live.
    """
    trader: Profile | None
    trader, adapts = (profile, adapts) if isinstance(profile, Profile) else load_trader(profile, config_dir=config_dir)
    if trader is not None and trader.simulation_only and live:
        raise ConfigError(f"the profile {_name(profile)!r} is for simulation alone; choose another one in live mode")
    if trader is not None:
        trader.traits(seed)
    known = () if preset == OFF else plugins.factors.discover()
    chosen = (
        preset if isinstance(preset, Preset) else load_preset(preset, config_dir=config_dir, live=live, known=known)
    )
    gone = tuple([name for name, _ in chosen.weights if name not in plugins.factors]) if chosen else ()
    chosen = chosen.without(gone) if chosen else None
    series, missing = _series(chosen, ts, timeframe_ns, readings or sky_history(), tuple(feeds))
    weights = dict(chosen.weights) if chosen else {}
    return Influences(
        profile=trader,
        adapts=adapts,
        cosmic=None if series is None else series.shifted(shift),
        live=live or (chosen is not None and chosen.application.live),
        seed=seed,
        names={"psychology": _name(profile), "cosmic": _name(preset), "weights": weights, "shift": shift, "seed": seed},
        without_history=(*missing, *gone),
    )


def _name(given: str | Profile | Preset) -> str:
    return given if isinstance(given, str) else "given"


def _series(
    preset: Preset | None, ts: I64, timeframe_ns: int, readings: Readings, feeds: tuple[Feed, ...]
) -> tuple[CosmicSeries | None, tuple[str, ...]]:
    if preset is None:
        return None, ()
    if not len(ts):
        raise ConfigError("there is no bar to load influences for; check symbol, timeframe and dates of the data")
    step = timeframe_ns or (int(np.diff(ts).min()) if len(ts) > 1 else HOUR_NS)
    first, last = int(ts[0]) // HOUR_NS, (int(ts[-1]) + step) // HOUR_NS
    columns, missing = _columns(preset, first, last - first + 1, readings, feeds)
    risk, confidence, emotion = columns
    return CosmicSeries(first * HOUR_NS, HOUR_NS, risk, confidence, emotion, preset.application.reach), missing


@lru_cache(maxsize=_KEPT)
def _columns(
    preset: Preset, first: int, rows: int, readings: Readings, feeds: tuple[Feed, ...]
) -> tuple[tuple[F64, F64, F64], tuple[str, ...]]:
    """Combine the factors hour by hour; kept, for every placebo of an arm starts from the same columns."""
    hours = np.arange(first, first + rows, dtype=np.int64) * HOUR_NS
    weights = dict(preset.weights)
    recorded = {feed.factor: feed for feed in feeds}
    found = {
        name: recorded[name].at(hours) if name in recorded else readings(name, hours)
        for name in weights
        if name not in BY_TIME
    }
    missing = tuple([name for name, column in found.items() if column is None])
    quantities = {name: column.tolist() for name, column in found.items() if column is not None}
    moon = quantities.pop(MOON, None)
    sectors = [-1] * rows if moon is None else [-1 if isnan(angle) else moon_sector(angle) for angle in moon]
    ramps = dict(preset.ramps)
    weights_at = [ramped(weights, ramps, at_ns) for at_ns in hours.tolist()] if ramps else [weights] * rows
    shares = _shares(quantities, weights_at)
    times = _times(preset, weights_at, hours)
    moons = [now.get(MOON, 0.0) for now in weights_at]
    combined = [summed(sectors[row], moons[row], shares[row], times[row])[:3] for row in range(rows)]
    risk, confidence, emotion = (np.ascontiguousarray(column) for column in np.array(combined).T)
    return (risk, confidence, emotion), missing


def _shares(quantities: Mapping[str, list[float]], weights_at: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    shares: list[dict[str, float]] = [{} for _ in weights_at]
    for name, column in quantities.items():
        for share, quantity, weights in zip(shares, column, weights_at, strict=True):
            if not isnan(quantity) and name in weights:
                share[name] = share_of(name, quantity) * weights[name]
    return shares


def _times(
    preset: Preset, weights_at: Sequence[Mapping[str, float]], hours: I64
) -> list[tuple[float, float, float, float, float]]:
    if not any(name in BY_TIME for name, _ in preset.weights):
        return [(0.0, 0.0, 0.0, 0.0, 0.0)] * len(hours)
    place = (preset.latitude, preset.longitude)
    instants = zip(weights_at, hours.tolist(), strict=True)
    return [time_shares(weights, time_conditions(at_ns, *place)) for weights, at_ns in instants]
