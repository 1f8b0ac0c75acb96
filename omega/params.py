"""Parameters of a strategy, declared once: range, unit, doc line and when a change takes effect.

Bots declare with `params` and `param`; runner, sweep, CRDs, Discord and docs read `describe` and `json_schema`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeVar, cast, dataclass_transform, get_type_hints

from omega.errors import ConfigError

T = TypeVar("T")
Value = bool | int | float | str
Reload = Literal["live", "bar", "restart"]

_MARK: Final = "omega.param"
_TYPES: Final[dict[type, str]] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_TRUTH: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """Everything that is known about one parameter.

    Units: low and high are inclusive and in `unit`; `reload` says when a change takes effect.
    """

    name: str
    type: type
    default: Value
    low: float | None
    high: float | None
    choices: tuple[Value, ...]
    unit: str
    reload: Reload
    doc: str

    def parse(self, value: object) -> Value:
        """Return the value as this parameter's own type.

        Raises:
            ConfigError: it is of another type, not finite, out of range or none of the choices.
        """
        made = _convert(self, value)
        if self.choices and made not in self.choices:
            raise ConfigError(f"{self.name} = {value!r} is none of {list(self.choices)}; choose one of them")
        if isinstance(made, int | float) and not isinstance(made, bool):
            self._within(made)
        return made

    def _within(self, value: float) -> None:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= value <= high:
            unit = f" {self.unit}" if self.unit else ""
            raise ConfigError(
                f"{self.name} = {value} lies outside {low:g} to {high:g}{unit} ({self.doc}); choose a value inside"
            )


def param(
    default: T,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[T, ...] = (),
    unit: str = "",
    reload: Reload = "bar",
    doc: str = "",
) -> T:
    """Declare one parameter of a `params` class by its default, range, unit and doc line."""
    mark = {"low": low, "high": high, "choices": choices, "unit": unit, "reload": reload, "doc": doc}
    return field(default=default, metadata={_MARK: mark})


@dataclass_transform(frozen_default=True, kw_only_default=True)
def params(cls: type[T]) -> type[T]:
    """Make a class of `param` declarations a frozen, slotted dataclass that checks its values when it is made.

    Raises:
        ConfigError: a field is no `param`, has a type other than bool, int, float, str, or a default outside its range.
    """
    own: Any = cls
    after = getattr(cls, "__post_init__", None)

    def check(self: object) -> None:
        for spec in describe(type(self)):
            value = spec.parse(getattr(self, spec.name))
            object.__setattr__(self, spec.name, value)
        if after is not None:
            after(self)

    own.__params__ = _specs(cls)
    own.__post_init__ = check
    for spec in own.__params__:
        spec.parse(spec.default)
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


def parse_params(cls: type[T], values: Mapping[str, object]) -> T:
    """Make an instance from configuration; numbers may arrive as text, as they do from the environment.

    Raises:
        ConfigError: a key is unknown (the nearest valid one is named) or a value does not fit.
    """
    specs = {spec.name: spec for spec in describe(cls)}
    for key in values:
        if key not in specs:
            raise ConfigError(f"unknown parameter {key!r}{nearest(key, specs)}; valid are {sorted(specs)}")
    return cls(**{key: specs[key].parse(value) for key, value in values.items()})


def describe(cls: type) -> list[ParamSpec]:
    """List the parameters of a `params` class in the order of their declaration.

    Raises:
        ConfigError: the class was not made by `params`.
    """
    specs = getattr(cls, "__params__", None)
    if specs is None:
        raise ConfigError(f"{cls.__qualname__} declares no parameters: decorate it with @params")
    return list(specs)


def json_schema(cls: type) -> dict[str, Any]:
    """Return the JSON Schema of a `params` class, as CRDs and editors read it."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {spec.name: _property(spec) for spec in describe(cls)},
    }


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known name, or nothing when none is near."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _property(spec: ParamSpec) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": _TYPES[spec.type], "default": spec.default}
    if spec.doc:
        shown["description"] = spec.doc
    if spec.low is not None:
        shown["minimum"] = spec.low
    if spec.high is not None:
        shown["maximum"] = spec.high
    if spec.choices:
        shown["enum"] = list(spec.choices)
    if spec.unit:
        shown["x-unit"] = spec.unit
    shown["x-reload"] = spec.reload
    return shown


def _specs(cls: type) -> tuple[ParamSpec, ...]:
    return tuple(_spec(cls, name, kind) for name, kind in get_type_hints(cls).items())


def _spec(cls: type, name: str, kind: object) -> ParamSpec:
    declared = getattr(cls, name, None)
    mark = getattr(declared, "metadata", {}).get(_MARK)
    if mark is None or kind not in _TYPES:
        raise ConfigError(
            f"{cls.__qualname__}.{name} is no parameter: annotate it as bool, int, float or str and give it param(...)"
        )
    return ParamSpec(name=name, type=kind, default=cast("Any", declared).default, **mark)


def _convert(spec: ParamSpec, value: object) -> Value:
    made: Value | None = None
    if spec.type is bool:
        made = value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
    elif spec.type is str:
        made = value if isinstance(value, str) else None
    elif isinstance(value, int | float | str) and not isinstance(value, bool):
        made = _number(value, whole=spec.type is int)
    if made is None:
        raise ConfigError(f"{spec.name} = {value!r} is no {_TYPES[spec.type]} ({spec.doc}); write one")
    return made


def _number(value: float | str, *, whole: bool) -> int | float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number) or (whole and not number.is_integer()):
        return None
    return int(number) if whole else number
