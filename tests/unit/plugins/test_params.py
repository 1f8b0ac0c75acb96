"""Parameters are declared once and refuse what does not fit, with the range and the nearest name."""

import dataclasses

import pytest

from omega.errors import ConfigError
from omega.plugins import describe, json_schema, param, params, parse_params


@params
class Knobs:
    """One of each type."""

    fast: int = param(20, low=5, high=50, unit="bars", reload="restart", doc="length of the fast average")
    stop: float = param(2.0, low=0.5, high=6.0, unit="ATR", doc="stop distance")
    flip: bool = param(default=False, doc="turn at once")
    sizing: str = param("risk", choices=("risk", "full"), doc="how to size")

    def __post_init__(self) -> None:
        if self.flip and self.fast == 50:
            raise ConfigError("flip at 50 makes no sense; lower fast")


@pytest.mark.req("3.14")
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Knobs()),
        (
            {"fast": "21", "stop": "2.5", "flip": "true", "sizing": "full"},
            Knobs(fast=21, stop=2.5, flip=True, sizing="full"),
        ),
        ({"fast": 21.0, "stop": 3, "flip": False}, Knobs(fast=21, stop=3.0)),
    ],
)
def test_params_from_configuration_take_their_types(values: dict[str, object], expected: Knobs):
    made = parse_params(Knobs, values)

    assert made == expected
    assert [type(v) for v in dataclasses.astuple(made)] == [int, float, bool, str]


@pytest.mark.req("3.14")
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"fst": 3}, "did you mean 'fast'"),
        ({"fast": 4}, "5 to 50 bars"),
        ({"fast": 51}, "5 to 50 bars"),
        ({"fast": 20.5}, "no integer"),
        ({"fast": True}, "no integer"),
        ({"fast": "many"}, "no integer"),
        ({"fast": None}, "no integer"),
        ({"stop": float("nan")}, "no number"),
        ({"stop": "inf"}, "no number"),
        ({"flip": "maybe"}, "no boolean"),
        ({"sizing": "half"}, "none of"),
        ({"sizing": 3}, "no string"),
        ({"fast": 50, "flip": True}, "makes no sense"),
    ],
)
def test_params_that_do_not_fit_are_refused(values: dict[str, object], words: str):
    with pytest.raises(ConfigError, match=words):
        parse_params(Knobs, values)


def test_params_made_by_hand_are_checked_too():
    with pytest.raises(ConfigError, match="outside 5 to 50"):
        Knobs(fast=500)


def test_params_are_frozen_and_hashable():
    knobs = Knobs()

    with pytest.raises(dataclasses.FrozenInstanceError):
        knobs.fast = 3  # type: ignore[misc]
    assert hash(knobs) == hash(Knobs())


def test_params_describe_lists_everything_declared():
    fast, stop, *_ = describe(Knobs)

    assert (fast.name, fast.type, fast.default, fast.low, fast.high, fast.unit, fast.reload) == (
        "fast", int, 20, 5, 50, "bars", "restart",
    )  # fmt: skip
    assert (stop.reload, stop.doc) == ("bar", "stop distance")


def test_params_schema_carries_range_unit_and_choices():
    schema = json_schema(Knobs)

    assert schema["additionalProperties"] is False
    assert schema["properties"]["fast"] == {
        "type": "integer",
        "default": 20,
        "description": "length of the fast average",
        "minimum": 5,
        "maximum": 50,
        "x-unit": "bars",
        "x-reload": "restart",
    }
    assert schema["properties"]["sizing"]["enum"] == ["risk", "full"]
    assert schema["properties"]["flip"]["type"] == "boolean"


def test_params_default_outside_its_own_range_is_refused():
    with pytest.raises(ConfigError, match="outside"):

        @params
        class Wrong:
            fast: int = param(3, low=5)


@pytest.mark.parametrize("namespace", [{"fast": 3}, {"fast": dataclasses.field(default=3)}])
def test_params_plain_field_is_refused(namespace: dict[str, object]):
    with pytest.raises(ConfigError, match="is no parameter"):
        params(type("Plain", (), namespace | {"__annotations__": {"fast": int}}))


def test_params_of_another_type_are_refused():
    with pytest.raises(ConfigError, match="bool, int, float or str"):
        params(type("Odd", (), {"many": param([1]), "__annotations__": {"many": list}}))
