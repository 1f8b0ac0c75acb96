"""A trader's traits under the regime of the market: each moves by what its profile declares, within its own bounds.

Declared below `adapts` in config/psychology/*.yaml. Without memory: the traits of a bar follow from profile and regime
alone, so history and runner agree whatever came before. Called by the loader, by history and by the runner's fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from omega.domain import AuditEntry
from omega.engine.profile import Profile, Traits
from omega.engine.regime import Regime
from omega.engine.scalar import within
from omega.errors import ConfigError
from omega.params import describe, nearest

ADAPTABLE: Final = (
    "discipline",
    "resilience",
    "stress",
    "fear_skip",
    "entry_threshold",
    "news_factor",
    "base_leverage",
)
"""The traits that may move. The off switch, the seed and what a mind merely begins with may not."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How one trait follows the regime.

    Units: low and high bound the trait, in its own unit; the rest is added to it in a market of that regime, nothing in
        a mixed one.
    """

    trait: str
    low: float
    high: float
    trending: float = 0.0
    ranging: float = 0.0
    volatile: float = 0.0

    def moved(self, value: float, regime: Regime) -> float:
        """Return the trait under a regime, within its bounds; a mixed market leaves it as it is, bit for bit."""
        shift = (0.0, self.trending, self.ranging, self.volatile)[regime]
        return within(value + shift, self.low, self.high) if shift else value


_NUMBERS: Final = tuple([field.name for field in fields(Adaptation) if field.name != "trait"])


def parse_adaptations(given: object, profile: Profile) -> tuple[Adaptation, ...]:
    """Read `{trait: {low, high, trending, ranging, volatile}}` for a profile, by name of the trait.

    Raises:
        ConfigError: a trait or a key is unknown, a bound is missing, lies outside of the trait's own range or does not
            hold the profile's value, or a number is none.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"adapts is {given!r}; write the traits below it, each with low, high and its shifts")
    ranges = {spec.name: spec for spec in describe(Profile)}
    made = []
    for trait, rule in given.items():
        if trait not in ADAPTABLE:
            hint = nearest(str(trait), dict.fromkeys(ADAPTABLE))
            raise ConfigError(f"adapts: {trait!r} is no trait that moves{hint}; these do: {', '.join(ADAPTABLE)}")
        one = _adaptation(trait, rule)
        for bound in (one.low, one.high):
            ranges[trait].parse(bound)
        value = getattr(profile, trait)
        if not one.low <= value <= one.high:
            raise ConfigError(
                f"adapts.{trait}: {one.low:g} to {one.high:g} does not hold the profile's own {value:g}; widen it"
            )
        made.append(one)
    return tuple(sorted(made, key=lambda one: one.trait))


def adapted(profile: Profile, adapts: Sequence[Adaptation], regime: Regime) -> Profile:
    """Return the profile under a regime: the same object where nothing moves, or psychology is off."""
    if profile.strength <= 0.0:
        return profile
    moved = {one.trait: one.moved(getattr(profile, one.trait), regime) for one in adapts}
    changed: dict[str, Any] = {name: value for name, value in moved.items() if value != getattr(profile, name)}
    return replace(profile, **changed) if changed else profile


def traits_by_regime(
    profile: Profile, adapts: Sequence[Adaptation], seed: int | None = None
) -> tuple[Traits, Traits, Traits, Traits]:
    """Return the traits under every regime, as the kernel looks them up by number."""
    mixed, trending, ranging, volatile = (adapted(profile, adapts, regime).traits(seed) for regime in Regime)
    return mixed, trending, ranging, volatile


def trait_moves(
    profile: Profile, adapts: Sequence[Adaptation], before: Regime, after: Regime
) -> tuple[AuditEntry, ...]:
    """Return what a change of the regime moves, as entries for the audit of the bar's decision."""
    if before is after:
        return ()
    one, other = adapted(profile, adapts, before), adapted(profile, adapts, after)
    why = f"adapts: {before.name.lower()} to {after.name.lower()}"
    pairs = [(rule.trait, getattr(one, rule.trait), getattr(other, rule.trait)) for rule in adapts]
    return tuple([AuditEntry("psychology", trait, old, new, why) for trait, old, new in pairs if old != new])


def _adaptation(trait: str, rule: object) -> Adaptation:
    where = f"adapts.{trait}"
    if not isinstance(rule, Mapping):
        raise ConfigError(
            f"{where} is {rule!r}; write low, high and a shift for trending, ranging or volatile below it"
        )
    for key, value in rule.items():
        if key not in _NUMBERS:
            hint = nearest(str(key), dict.fromkeys(_NUMBERS))
            raise ConfigError(f"{where}: unknown key {key!r}{hint}; valid are {', '.join(_NUMBERS)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise ConfigError(f"{where}.{key} = {value!r} is no number; write one")
    missing = [bound for bound in ("low", "high") if bound not in rule]
    if missing:
        raise ConfigError(f"{where}: {' and '.join(missing)} is missing; a trait moves within declared bounds alone")
    return Adaptation(trait, **{key: float(value) for key, value in rule.items()})
