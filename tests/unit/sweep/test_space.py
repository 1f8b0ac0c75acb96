"""Spaces: what may be tried, and what is refused."""

from __future__ import annotations

import pytest

from omega.backtest.sweep.space import shown, space_of
from omega.errors import ConfigError
from omega.plugins import param, params


@params
class Params:
    fast: int = param(12, low=2, high=100, reload="restart")
    slow: int = param(26, low=3, high=300, reload="restart")
    stop: float = param(0.02, low=0.0, high=0.2)
    both: bool = param(default=False)
    sizing: str = param("risk", choices=("risk", "full"))
    free: int = param(1)


def test_space_of_steps_holds_both_ends() -> None:
    [dim] = space_of(Params, ["fast=5:32:3"], {}).dimensions

    assert dim.values == (5, 8, 11, 14, 17, 20, 23, 26, 29, 32)


def test_space_of_decimal_steps_hits_the_end_despite_rounding() -> None:
    [dim] = space_of(Params, ["stop=0.1:0.2:0.02"], {}).dimensions

    assert dim.values == pytest.approx((0.1, 0.12, 0.14, 0.16, 0.18, 0.2), abs=1e-12)
    assert dim.values[-1] == 0.2


def test_space_of_a_list_keeps_its_order_and_drops_doubles() -> None:
    [dim] = space_of(Params, ["slow=50,20,50"], {}).dimensions

    assert dim.values == (50, 20)


def test_space_orders_indicator_lengths_before_the_rest_and_long_before_short() -> None:
    made = space_of(Params, ["stop=0.01,0.02,0.03", "fast=5,6", "slow=40:60:10"], {})

    assert [dim.name for dim in made.dimensions] == ["slow", "fast", "stop"]
    assert made.combinations == 18


def test_space_without_texts_takes_every_declared_range_but_sizing_and_what_is_fixed() -> None:
    made = space_of(Params, [], {"slow": 30})

    assert {dim.name for dim in made.dimensions} == {"fast", "stop", "both"}
    assert made.combinations == 0


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["fast"], "neither"),
        (["fats=1:2:1"], "did you mean 'fast'"),
        (["fast=9:5:1"], "ends at 5 before it begins"),
        (["fast=1:5:1"], "outside 2 to 100"),
        (["fast=5:9:0"], "no number above zero"),
        (["fast=5:9:x"], "no number above zero"),
        (["fast=5.5,6"], "no integer"),
        (["sizing=risk:full"], "range"),
        (["fast=5,6", "fast=7"], "twice"),
        (["stop=0:0.2:0.0000001"], "larger step"),
        (["fast=,"], "no value"),
    ],
)
def test_space_refuses_what_makes_no_sense(texts: list[str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        space_of(Params, texts, {})


def test_space_refuses_a_parameter_that_is_fixed_too() -> None:
    with pytest.raises(ConfigError, match="both fixed"):
        space_of(Params, ["fast=5,6"], {"fast": 7})


def test_shown_is_one_short_line() -> None:
    assert shown({"fast": 5, "stop": 0.123456789}) == "fast=5 stop=0.123457"
    assert len(shown({f"parameter_{i}": i for i in range(20)})) == 60
