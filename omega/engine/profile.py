"""A trader's temperament as data: declared once with range, unit and definition, read from config/psychology/*.yaml.

Made by the loader of influences; `traits` hands it to the kernel of omega.engine.psychology as plain tuples.
"""

from __future__ import annotations

from typing import Final

from omega.errors import ConfigError
from omega.params import param, params

Nature = tuple[float, ...]
Traits = tuple[float, Nature, Nature]
"""(seed, nature, habit): what reactions read, then what decisions read."""
Mind = tuple[int, float, float, float, float, float, int, int, int]
"""(emotion, confidence, risk, stress, intuition, connection, wins in a row, losses in a row, balanced exits)."""

LARGEST_SEED: Final = 67_108_858
NEUTRAL_EMOTION: Final = 8
"""The neutral emotion's number in `omega.engine.psychology.Emotion`."""


@params
class Profile:
    """The temperament of one trader; every metric lies in [0, 1] and `strength` is its off switch."""

    about: str = param("", doc="the character in a few words")
    seed: int = param(7, low=0, high=LARGEST_SEED, doc="seed of the stream behind every chance below")
    strength: float = param(1.0, low=0.0, high=1.0, unit="fraction", doc="how much of the model acts; 0 turns it off")
    simulation_only: bool = param(False, doc="refused in live mode")
    confidence: float = param(0.5, low=0.0, high=1.0, doc="trust in the own judgement before the first trade")
    risk: float = param(0.5, low=0.1, high=1.0, doc="risk appetite before the first trade")
    stress: float = param(0.3, low=0.0, high=1.0, doc="stress at rest")
    intuition: float = param(0.3, low=0.0, high=1.0, doc="intuition before the first trade")
    connection: float = param(0.1, low=0.0, high=1.0, doc="calm that a row of balanced exits builds up")
    insight: float = param(0.3, low=0.0, high=1.0, doc="insight; with connection it opens the enlightened state")
    discipline: float = param(0.5, low=0.0, high=1.0, doc="takes up to half of every modifier away")
    resilience: float = param(0.5, low=0.0, high=1.0, doc="takes from what losses, drawdown and news do")
    connection_gain: float = param(1.0, low=0.0, high=1.0, unit="fraction", doc="part of the gain of connection")
    impulse: float = param(0.0, low=0.0, high=1.0, unit="probability", doc="of fomo or euphoria after a trade")
    exhaustion: float = param(1.0, low=0.0, high=1.0, doc="stress above which the trader is exhausted; 1 = never")
    revenge_from: int = param(0, low=0, high=4, unit="losses", doc="losses in a row that call for revenge; 0 = none")
    revenge_chance: float = param(0.0, low=0.0, high=1.0, unit="probability", doc="of revenge after a big loss")
    streak_euphoria: bool = param(False, doc="more than three wins in a row make an undisciplined trader euphoric")
    easy_euphoria: bool = param(False, doc="one big win is enough for euphoria")
    easy_fear: bool = param(False, doc="one big loss is enough for fear")
    big_result: float = param(0.01, low=0.0001, high=1.0, unit="fraction of equity", doc="what counts as a big result")
    news_factor: float = param(1.0, low=0.0, high=2.0, doc="how much news moves this trader")
    fear_skip: float = param(0.7, low=0.0, high=1.0, unit="probability", doc="of passing an entry by in fear")
    entry_threshold: float = param(0.0, low=0.0, high=1.0, doc="confidence below which no entry is taken")
    base_leverage: float = param(
        3.0, low=1.0, high=10.0, unit="x", doc="leverage at ease; the farm's cap binds over it"
    )
    most_leverage: float = param(10.0, low=1.0, high=50.0, unit="x", doc="leverage at any mood; the farm's cap too")

    def traits(self, seed: int | None = None) -> Traits:
        """Return the profile as the kernel reads it, with another seed when one is given.

        Raises:
            ConfigError: the seed is none of 0 to 67108858.
        """
        chosen = self.seed if seed is None else seed
        if not 0 <= chosen <= LARGEST_SEED:
            raise ConfigError(f"seed {chosen} lies outside 0 to {LARGEST_SEED}; choose one inside")
        nature = (
            self.discipline,
            self.resilience,
            self.stress,
            self.insight,
            self.connection_gain,
            self.impulse,
            self.exhaustion,
            float(self.revenge_from),
            self.revenge_chance,
            float(self.streak_euphoria),
            float(self.easy_euphoria),
            float(self.easy_fear),
            self.big_result,
            self.news_factor,
        )
        habit = (
            self.strength,
            self.discipline,
            self.fear_skip,
            self.entry_threshold,
            self.base_leverage,
            self.most_leverage,
        )
        return float(chosen), nature, habit

    def first_mind(self) -> Mind:
        """Return the state of mind before the first trade."""
        return NEUTRAL_EMOTION, self.confidence, self.risk, self.stress, self.intuition, self.connection, 0, 0, 0


NEUTRAL: Final = Profile(strength=0.0, about="psychology off").traits()
"""Traits under which every decision comes back bit for bit."""
NEUTRAL_MIND: Final = Profile().first_mind()
"""The state of mind that goes with them."""
