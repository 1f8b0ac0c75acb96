"""Psychology and cosmic influence as stages of the pipeline: the kernel's functions over decisions, with an audit.

The runner puts them into its `Settings` (a new psychology after every closed trade); history calls the functions below
them directly. Both return the very same decision object when they change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from omega.domain import Decision, Reading
from omega.engine.conditions import influence_of, time_conditions
from omega.engine.cosmic import INFLUENCES as KEYS
from omega.engine.cosmic import Application, apply_cosmic_factors, factor_ramps, factor_weights
from omega.engine.decision import Context, amend
from omega.engine.profile import NEUTRAL, NEUTRAL_MIND
from omega.engine.psychology import EVENTS, Emotion, Mind, Profile, Traits, moved_price, react, stir, temper
from omega.engine.ramps import Ramp, ramped
from omega.errors import ConfigError, CorruptData
from omega.params import nearest

SIMULATED: Final = "simulated"
"""How the source of a reading begins that nobody measured: play values, for simulation alone."""
_MIND: Final = ("confidence", "risk", "stress", "intuition", "connection")
_STREAKS: Final = ("wins", "losses", "balanced")


@dataclass(frozen=True, slots=True)
class PsychologyStage:
    """A trader's state of mind as an interceptor; a reaction makes a new one.

    Attributes:
        live: clamp everything to less risk.
    """

    traits: Traits = NEUTRAL
    mind: Mind = NEUTRAL_MIND
    live: bool = True

    @classmethod
    def of(cls, profile: Profile, *, live: bool, seed: int | None = None) -> PsychologyStage:
        """Return the stage of a profile before its first trade.

        Raises:
            ConfigError: the profile is for simulation alone and the mode is live.
        """
        if live and profile.simulation_only:
            raise ConfigError(f"the profile {profile.about!r} is for simulation alone; choose another one in live mode")
        return cls(profile.traits(seed), profile.first_mind(), live)

    @property
    def emotion(self) -> Emotion:
        """The present emotion."""
        return Emotion(self.mind[0])

    @property
    def size_factor(self) -> float:
        """What the present state of mind multiplies the size of an entry with."""
        _, share, _, _, _, _ = temper(self.mind, self.traits, 1.0, 1.0, 1.0, 0, self.live)
        return share

    def __call__(self, decision: Decision, context: Context) -> Decision:
        """Temper an entry; whatever is no entry passes."""
        if not decision.side:
            return decision
        skip, size, confidence, stop_x, target_x, most = temper(
            self.mind,
            self.traits,
            decision.size,
            decision.confidence,
            float(decision.leverage),
            decision.bar_ts_ns,
            self.live,
        )
        feeling = self.emotion.name.lower()
        if skip:
            return amend(decision, "psychology", f"{feeling}: lets the entry go", side=0)
        return amend(
            decision,
            "psychology",
            feeling,
            size=size,
            confidence=confidence,
            leverage=int(most),
            stop=moved_price(context.price, decision.stop, stop_x),
            targets=tuple([(moved_price(context.price, at, target_x), part) for at, part in decision.targets]),
        )

    def after_trade(self, result: float, *, held_min: float, drawdown: float, ts_ns: int) -> PsychologyStage:
        """Return the stage after a round trip has closed; units as in `omega.engine.psychology.react`."""
        return replace(self, mind=react(self.mind, self.traits, result, held_min, drawdown, ts_ns))

    def after_news(self, event: str) -> PsychologyStage:
        """Return the stage after a market event.

        Raises:
            ConfigError: there is no such event.
        """
        if event not in EVENTS:
            hint = nearest(event, dict.fromkeys(EVENTS))
            raise ConfigError(f"there is no event {event!r}{hint}; known are {', '.join(EVENTS)}")
        return replace(self, mind=stir(self.mind, self.traits, EVENTS.index(event)))

    def state(self) -> dict[str, Any]:
        """Return the state of mind as JSON values, as it is saved with a bot and shown."""
        _, *numbers = self.mind
        return {"emotion": self.emotion.name.lower(), **dict(zip(_MIND + _STREAKS, numbers, strict=True))}

    def restored(self, state: Mapping[str, Any]) -> PsychologyStage:
        """Return the stage with a saved state of mind.

        Raises:
            CorruptData: the state lacks a field or holds something that does not fit.
        """
        try:
            numbers = [float(state[name]) for name in _MIND]
            wins, losses, balanced = (int(state[name]) for name in _STREAKS)
            emotion = int(Emotion[str(state["emotion"]).upper()])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptData(f"saved state of mind is unsound ({error!r}); delete it to start calm") from error
        if not all(0.0 <= number <= 1.0 for number in numbers) or min(wins, losses, balanced) < 0:
            raise CorruptData(f"saved state of mind {dict(state)} is out of range; delete it to start calm")
        confidence, risk, stress, intuition, connection = numbers
        mind = (emotion, confidence, risk, stress, intuition, connection, wins, losses, balanced)
        return replace(self, mind=mind)


@dataclass(frozen=True, slots=True, eq=False)
class CosmicStage:
    """The cosmic factors as an interceptor over the readings in its context.

    Units: timeframe_ns of the bot's bars, so that readings age against the close; the place in degrees.

    Attributes:
        ramps: the factors whose weight falls with time.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    application: Application = field(default_factory=Application)
    timeframe_ns: int = 0
    latitude: float = 40.0
    longitude: float = -74.0
    ramps: Mapping[str, Ramp] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        factors: Mapping[str, Any],
        application: Mapping[str, Any],
        *,
        timeframe_ns: int,
        latitude: float = 40.0,
        longitude: float = -74.0,
    ) -> CosmicStage:
        """Return the stage of the seeds' configuration.

        Raises:
            ConfigError: a weight or a sensitivity lies outside [0, 1], or a key is unknown.
        """
        weights, ramps = factor_weights(factors), factor_ramps(factors)
        return cls(weights, Application.of(application), timeframe_ns, latitude, longitude, ramps)

    def __call__(self, decision: Decision, context: Context) -> Decision:
        """Apply the influences to an entry; without weights, or switched off, nothing is even looked at."""
        if not (decision.side and self.weights and self.application.enabled):
            return decision
        close_ns = context.bar_ts_ns + self.timeframe_ns
        conditions = {reading.factor: reading for reading in context.readings if self._counts(reading)}
        conditions |= time_conditions(close_ns, self.latitude, self.longitude)
        weights = ramped(self.weights, self.ramps, close_ns)
        influences = dict(zip(KEYS, influence_of(weights, conditions), strict=True))
        return apply_cosmic_factors(decision, influences, self.application)

    def _counts(self, reading: Reading) -> bool:
        """Tell whether a reading may move a decision: in live mode none of the simulated provider does."""
        return not (self.application.live and reading.source.startswith(SIMULATED))
