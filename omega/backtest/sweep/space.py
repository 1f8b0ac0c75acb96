"""What a sweep may choose: one dimension a parameter, from the strategy's declaration or from the command line.

Made by the command and by research; read by the searches. A value is always one that the strategy's parameters accept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from omega.errors import ConfigError
from omega.params import ParamSpec, Value, describe, nearest

_SHOWN: Final = 60
_MOST_STEPS: Final = 1_000_000
_RANGE_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter's choices.

    Attributes:
        values: the choices, in order; empty for a range without steps.
        low: of a range without steps, inclusive; 0.0 otherwise.
        high: of a range without steps, inclusive; 0.0 otherwise.
        outer: a change means other indicators; such dimensions change slowest, so that indicators are shared.
    """

    name: str
    values: tuple[Value, ...]
    low: float = 0.0
    high: float = 0.0
    outer: bool = False

    @property
    def count(self) -> int:
        """How many choices there are, 0 for a range without steps."""
        return len(self.values)

    def at(self, share: float) -> Value:
        """Return the choice at a share of the way, 0 the first and just below 1 the last."""
        if self.values:
            return self.values[min(int(share * self.count), self.count - 1)]
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Space:
    """The dimensions of a sweep, indicator lengths first, those with the most choices before the others."""

    dimensions: tuple[Dimension, ...]

    @property
    def combinations(self) -> int:
        """The size of the grid, 0 when a dimension is a range without steps."""
        return math.prod(dimension.count for dimension in self.dimensions)

    def at(self, shares: Iterable[float]) -> dict[str, Value]:
        """Return the combination at a point of the unit cube."""
        return {dim.name: dim.at(share) for dim, share in zip(self.dimensions, shares, strict=True)}


def space_of(params: type, given: Iterable[str], fixed: Mapping[str, object]) -> Space:
    """Make a space of `name=lo:hi:step` and `name=a,b,c` texts; without any, of everything that the strategy declares.

    Raises:
        ConfigError: a text is malformed, names no parameter, names a fixed one, or leaves the declared range.
    """
    specs = {spec.name: spec for spec in describe(params)}
    texts = list(given)
    if texts:
        dimensions = [_parsed(text, specs) for text in texts]
    else:
        dimensions = [_declared(spec) for spec in specs.values() if spec.name not in fixed and _is_wide(spec)]
    names = [dimension.name for dimension in dimensions]
    if len(set(names)) < len(names):
        raise ConfigError(f"--space names a parameter twice ({', '.join(names)}); give each once")
    if taken := [name for name in names if name in fixed]:
        raise ConfigError(f"{', '.join(taken)} is both fixed by --set and swept by --space; drop one")
    if not dimensions:
        raise ConfigError("there is nothing to sweep: no parameter is left with a range; give --space name=lo:hi:step")
    return Space(tuple(sorted(dimensions, key=lambda dim: (not dim.outer, -(dim.count or _MOST_STEPS)))))


def _parsed(text: str, specs: Mapping[str, ParamSpec]) -> Dimension:
    name, equals, rest = text.partition("=")
    if not equals or not rest:
        raise ConfigError(f"--space {text!r} is neither name=lo:hi:step nor name=a,b,c")
    if name not in specs:
        raise ConfigError(f"--space: unknown parameter {name!r}{nearest(name, specs)}; valid are {sorted(specs)}")
    spec = specs[name]
    if ":" not in rest:
        values = tuple(spec.parse(part.strip()) for part in rest.split(",") if part.strip())
        return _dimension(spec, tuple(dict.fromkeys(values)))
    parts = rest.split(":")
    if len(parts) > _RANGE_PARTS or spec.type not in {int, float}:
        raise ConfigError(f"--space {text!r}: a range is lo:hi or lo:hi:step of a number; list other values as a,b,c")
    low, high = (float(spec.parse(part)) for part in parts[:2])
    if high < low:
        raise ConfigError(f"--space {text!r}: the range ends at {high:g} before it begins at {low:g}; swap them")
    if len(parts) == _RANGE_PARTS:
        return _dimension(spec, _stepped(text, spec, low, high, parts[2]))
    return _ranged(spec, low, high)


def _declared(spec: ParamSpec) -> Dimension:
    if spec.choices:
        return _dimension(spec, spec.choices)
    if spec.type is bool:
        return _dimension(spec, (False, True))
    assert spec.low is not None
    assert spec.high is not None
    return _ranged(spec, spec.low, spec.high)


def _is_wide(spec: ParamSpec) -> bool:
    """Whether a declaration leaves a choice. How an entry is sized is a rule of the bot, not something to be fitted."""
    if spec.name == "sizing":
        return False
    return bool(spec.choices) or spec.type is bool or (spec.low is not None and spec.high is not None)


def _ranged(spec: ParamSpec, low: float, high: float) -> Dimension:
    if spec.type is int:
        return _dimension(spec, tuple(range(math.ceil(low), math.floor(high) + 1)))
    return Dimension(spec.name, (), low, high, outer=spec.reload == "restart")


def _dimension(spec: ParamSpec, values: tuple[Value, ...]) -> Dimension:
    if not values:
        raise ConfigError(f"--space {spec.name} has no value; list some as a,b,c")
    return Dimension(spec.name, values, outer=spec.reload == "restart")


def _stepped(text: str, spec: ParamSpec, low: float, high: float, step_text: str) -> tuple[Value, ...]:
    try:
        step = float(step_text)
    except ValueError:
        step = 0.0
    if not 0.0 < step < math.inf:
        raise ConfigError(f"--space {text!r}: the step {step_text!r} is no number above zero")
    # A little more than the quotient: 0.1 + 2 * 0.1 lies just above 0.3, and 0.3 is meant.
    steps = math.floor((high - low) / step + 1e-9)
    if steps >= _MOST_STEPS:
        raise ConfigError(f"--space {text!r} has {steps:,} values; take a larger step")
    values = [min(low + i * step, high) for i in range(steps + 1)]
    return tuple(dict.fromkeys(spec.parse(round(value, 12)) for value in values))


def shown(params: Mapping[str, Any]) -> str:
    """Return a combination in one line for tables."""
    text = " ".join(
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()
    )
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
