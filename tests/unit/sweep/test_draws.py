"""Numbered searches: any process can make any trial."""

from __future__ import annotations

import pytest

from omega.backtest.sweep.draws import Grid, Random, Sobol, draws_of, shard_of
from omega.backtest.sweep.space import Dimension, Space
from omega.errors import ConfigError

SPACE = Space(
    (
        Dimension("slow", tuple(range(40, 240, 10)), outer=True),
        Dimension("fast", tuple(range(12)), outer=True),
        Dimension("stop", (0.01, 0.02)),
    )
)
OPEN = Space((Dimension("a", (), 0.5, 2.5), Dimension("b", (1, 2, 3))))


def test_grid_holds_every_combination_once() -> None:
    made = Grid(SPACE).take(range(480))

    assert Grid(SPACE).count == 480
    assert len({tuple(sorted(row.items())) for row in made}) == 480


def test_grid_neighbours_share_their_indicators() -> None:
    """A tile of six values of the second length is walked whole before the next: few indicators live at a time."""
    made = Grid(SPACE).take(range(48))

    assert {row["fast"] for row in made} == {0, 1, 2, 3, 4, 5}
    assert {row["slow"] for row in made} == {40, 50, 60, 70}


def test_grid_refuses_a_range_without_steps() -> None:
    with pytest.raises(ConfigError, match="a=lo:hi:step"):
        Grid(OPEN)


@pytest.mark.parametrize("kind", [Random, Sobol])
def test_draws_of_a_number_do_not_depend_on_what_was_drawn_before(kind: type[Random | Sobol]) -> None:
    whole = kind(OPEN, 64, 7).take(range(64))

    assert kind(OPEN, 64, 7).take([40, 3, 41, 0]) == [whole[40], whole[3], whole[41], whole[0]]
    assert kind(OPEN, 64, 8).take(range(64)) != whole
    assert all(0.5 <= float(row["a"]) <= 2.5 and row["b"] in {1, 2, 3} for row in whole)


def test_sobol_fills_the_space_evenly() -> None:
    made = Sobol(OPEN, 64, 1).take(range(64))

    eighths = [int((float(row["a"]) - 0.5) / 0.25) for row in made]
    assert sorted(eighths) == sorted([i for i in range(8) for _ in range(8)])


@pytest.mark.req("4.90")
@pytest.mark.parametrize(("count", "shards"), [(480, 4), (7, 3), (2, 5), (1000, 7)])
def test_shards_hold_every_number_once(count: int, shards: int) -> None:
    parts = [shard_of(count, index, shards) for index in range(shards)]

    assert [number for part in parts for number in part] == list(range(count))


def test_shard_beyond_the_last_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 to 3"):
        shard_of(10, 4, 4)


def test_draws_of_an_endless_search_wants_a_number_of_trials() -> None:
    with pytest.raises(ConfigError, match="--trials"):
        draws_of("sobol", OPEN, trials=0, seed=0)
    with pytest.raises(ConfigError, match="unknown"):
        draws_of("genetic", OPEN, trials=5, seed=0)
