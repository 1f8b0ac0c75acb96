"""The council: who votes what on a market made for it, how votes are counted, and what takes a position out."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from bots import _voices
from bots._voices import LOSS_EXITS, PROFIT_EXITS, VOICES, View, view
from bots.council import Params, Votes, count, exit_level, need, report, signals, votes
from omega.domain import MINUTE_NS
from omega.engine import AccountBook, Bars
from omega.plugins import strategies

NAMES = [voice.name for voice in VOICES]
DAY = 96
MONDAY = 1_700_438_400_000_000_000  # 2023-11-20 00:00 UTC
LENGTH = 15 * MINUTE_NS
Close = npt.NDArray[np.float64]


def bars_of(close: Close, volume: Close | None = None, start_ns: int = MONDAY) -> Bars:
    n = len(close)
    ts = np.arange(n, dtype=np.int64) * LENGTH + start_ns
    return Bars.of(ts, close, close * 1.0001, close * 0.9999, close, np.ones(n) if volume is None else volume)


def seen(**figures: float) -> View:
    """What the voices see of one bar in a day from 95 to 105, changed by what a case is about."""
    base = view(bars_of(np.full(1, 100.0)), DAY)
    plain = {
        "high": 105.0, "low": 95.0, "move": 0.0, "span": 10 / 95, "place": 0.5, "quarter_high": 100.4,
        "quarter_low": 100.2, "tested_high": 105.0, "tested_low": 95.0, "straight": 0.0, "momentum": 0.5, "volume": 1.0,
    } | {name: value for name, value in figures.items() if name != "close"}  # fmt: skip
    columns = {name: np.array([value]) for name, value in plain.items()}
    return replace(base, bars=bars_of(np.array([figures.get("close", 101.9)])), ready=np.array([True]), **columns)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("voice", "figures", "side", "trust"),
    [
        ("strategic", {"place": 0.4}, 1, 0.3),
        ("strategic", {"close": 101.18, "place": 0.4}, 1, 0.5),  # the .382 retracement
        ("strategic", {"place": 0.4, "move": 0.03}, 1, 0.45),
        ("strategic", {"place": 0.4, "move": -0.03}, 1, 0.36),  # against the day: x .8
        ("strategic", {"close": 95.5, "place": 0.05}, 1, 0.5),
        ("strategic", {"close": 101.18, "quarter_high": 102.36, "quarter_low": 100.0, "place": 0.7}, -1, 0.6),
        ("aggressive", {"momentum": 0.85, "volume": 1.6}, 1, 0.75),
        ("aggressive", {"momentum": 0.15, "volume": 1.6}, -1, 0.75),
        ("aggressive", {"momentum": 0.85, "volume": 1.4}, 1, 0.0),
        ("newbie", {"straight": 0.85, "volume": 1.4}, 1, 0.75),
        ("newbie", {"straight": -0.85, "volume": 1.4}, -1, 0.75),
        ("newbie", {"straight": 0.6, "volume": 1.4}, 1, 0.0),
        ("contrarian", {"move": 0.09, "place": 0.9}, -1, 0.85),
        ("contrarian", {"move": -0.09, "place": 0.5}, 1, 0.6),
        ("contrarian", {"place": 0.9}, -1, 0.55),
        ("contrarian", {"place": 0.6}, -1, 0.3),
        ("patient", {"close": 101.18, "place": 0.4}, 1, 0.6),
        ("patient", {"close": 95.1, "place": 0.01}, 1, 0.55),
        ("patient", {"place": 0.4, "span": 0.01}, 1, 0.5),
    ],
)  # fmt: skip
def test_voice_follows_its_row_of_the_table(voice: str, figures: Mapping[str, float], side: int, trust: float):
    sides, sure = getattr(_voices, voice)(seen(**figures))

    assert (sides[0], round(float(sure[0]), 9)) == (side, trust)


@pytest.mark.parametrize(
    ("hour", "day", "trust"),
    [(9, 1, 0.5), (12, 1, 0.4), (15, 1, 0.55), (12, 4, 0.5), (9, 0, 0.35)],
)
def test_cosmic_voice_goes_by_weekday_and_hour_of_its_place(hour: int, day: int, trust: float):
    instant = MONDAY + (24 * day + hour + 5) * 60 * MINUTE_NS  # five hours behind at 75 degrees west
    look = replace(seen(move=0.01), bars=bars_of(np.array([100.0]), start_ns=instant))

    side, sure = _voices.cosmic(look, -75.0)

    assert (side[0], round(float(sure[0]), 9)) == (1.0, trust)


def test_newbie_takes_the_first_three_of_a_day():
    n = 3 * DAY
    loud = np.zeros(n, np.bool_)
    loud[DAY + 10 :: 8] = True
    look = replace(
        view(bars_of(np.full(n, 100.0)), DAY),
        straight=np.full(n, 0.9), volume=np.where(loud, 2.0, 1.0), ready=np.ones(n, np.bool_),
    )  # fmt: skip

    _, trust = _voices.newbie(look)

    cast = trust >= 0.5
    assert np.flatnonzero(cast)[:4].tolist() == [DAY + 10, DAY + 18, DAY + 26, 2 * DAY + 2]
    assert [int(cast[day * DAY : (day + 1) * DAY].sum()) for day in range(3)] == [0, 3, 3]


def counted(sides: list[float], trust: list[float], given: Mapping[str, float]) -> int:
    said = (np.array([column]).T for column in (sides, trust))
    return int(count(*said, Params(**given)).verdict[0])


@pytest.mark.parametrize(
    ("sides", "trust", "given", "verdict"),
    [
        ([1, 1, 0, 0, 0, 0], [0.6, 0.6, 0, 0, 0, 0], {}, 1),
        ([1, 0, 0, 0, 0, 0], [0.9, 0, 0, 0, 0, 0], {}, 0),
        ([1, -1, 0, 0, 0, 0], [0.9, 0.6, 0, 0, 0, 0], {}, 0),  # nobody agrees with anybody
        ([1, 1, -1, -1, -1, 0], [0.9, 0.9, 0.5, 0.5, 0.6, 0], {}, -1),  # the majority
        ([1, 1, -1, -1, 0, 0], [0.6, 0.6, 0.7, 0.6, 0, 0], {}, -1),  # a tie: the surer side
        ([1, 1, -1, -1, 0, 0], [0.6, 0.6, 0.6, 0.6, 0, 0], {}, 0),  # a tie in everything
        ([1, 0, 0, 0, 1, 0], [0.6, 0, 0, 0, 0.59, 0], {}, 0),  # the patient voice enters from .6
        ([1, 0, 0, 0, 1, 0], [0.6, 0, 0, 0, 0.6, 0], {}, 1),
        ([1, 1, 0, 0, 0, 0], [0.6, 0.6, 0, 0, 0, 0], {"aggressive": 0.0}, 0),
        ([1, 1, 0, 0, 0, 0], [0.6, 0.6, 0, 0, 0, 0], {"aggressive": 0.5, "quorum": 1.5}, 1),
        ([1, 1, 1, 0, 0, 0], [0.6, 0.6, 0.6, 0, 0, 0], {"quorum": 4.0}, 0),
    ],
)  # fmt: skip
def test_votes_are_counted_by_weight_quorum_and_tie_rule(
    sides: list[float], trust: list[float], given: dict[str, float], verdict: int
):
    mirrored = [-side for side in sides]

    assert counted(sides, trust, given) == verdict
    assert counted(mirrored, trust, given) == -verdict


@pytest.mark.parametrize(
    ("quorum", "profit", "loss"), [(1.0, 1.0, 0.5), (2.0, 2.0, 5.0), (3.0, 5.0, 10.0), (4.0, 8.0, 15.0)]
)
def test_exit_vote_falls_where_enough_voices_want_out(quorum: float, profit: float, loss: float):
    p = Params(exit_quorum=quorum)

    assert (exit_level(PROFIT_EXITS, p), exit_level(LOSS_EXITS, p)) == (profit, loss)


def test_exit_vote_without_enough_weight_never_falls():
    p = Params(scalper=0.0, newbie=0.0, exit_quorum=3.0)

    assert exit_level(PROFIT_EXITS, p) == 0.0


def test_barriers_are_the_mean_of_the_winners_bound_by_the_exit_vote(make_bars: Callable[[int, int], Bars]):
    bars = make_bars(5, 6_000)
    made, said = signals(bars, Params(exit_quorum=3.0)), votes(bars, Params(exit_quorum=3.0))
    rows = np.flatnonzero(made.side)

    assert len(rows) >= 10
    words = strategies.get("council").reasons
    for row in rows:
        winners = [voice for voice, side in zip(VOICES, said.sides[:, row], strict=True) if side == made.side[row]]
        assert words[made.reason[row]] == "+".join(voice.name for voice in winners)
        stop = min(np.mean([voice.stop for voice in winners]), 10.0)
        target = min(np.mean([voice.target for voice in winners]), 5.0)
        assert made.stop_distance[row] == pytest.approx(stop / 100 * bars.close[row])
        assert made.targets[0][row] == pytest.approx(target / 100 * bars.close[row])


def test_council_of_its_warm_up_alone_votes_as_with_all_of_history():
    """Also the newbie, who counts over a day: its entries of a day ago must not depend on where the bars begin."""
    rng = np.random.default_rng(4)
    drift = np.repeat(rng.normal(0.0, 1.5e-3, 3_000 // 30), 30)
    close, volume = 100.0 * np.exp(np.cumsum(drift + rng.normal(0.0, 0.001, 3_000))), rng.exponential(1.0, 3_000)
    bars, p = bars_of(close, volume), Params(day=DAY)
    whole = votes(bars, p)

    assert (whole.sides[NAMES.index("newbie")] != 0.0).sum() > 20
    for row in range(need(p), bars.n, 5):
        part = votes(bars.prefix(row + 1).since(row - need(p)), p)
        assert part.sides[:, -2:].tobytes() == whole.sides[:, row - 1 : row + 1].tobytes(), row
        assert part.trust[:, -1].tobytes() == whole.trust[:, row].tobytes(), row


def test_council_mirrors_long_and_short():
    rng = np.random.default_rng(11)
    walk, volume = np.cumsum(rng.normal(0.0, 3.0, 6_000)), rng.uniform(1.0, 9.0, 6_000)
    up, down = (votes(bars_of(100_000.0 + sign * walk, volume), Params(day=DAY)) for sign in (1.0, -1.0))

    assert (up.verdict != 0).mean() > 0.05
    assert (up.verdict == -down.verdict).mean() > 0.98  # a fraction of the price is not the same at both ends


def test_report_tells_every_voice_of_the_newest_bar(make_bars: Callable[[int, int], Bars]):
    bars, p = make_bars(5, 6_000), Params()
    said: Votes = votes(bars, p)

    for n in (2_500, 4_000, 6_000):
        told = report(bars.prefix(n), AccountBook(balance=1.0), p)
        assert set(told) == {"kind", "verdict", *NAMES}
        word = {1.0: "long", -1.0: "short", 0.0: "wait"}
        assert told["verdict"] == word[float(said.verdict[n - 1])]
        for row, name in enumerate(NAMES):
            assert str(told[name]).startswith(f"{word[float(said.sides[row, n - 1])]} {said.trust[row, n - 1]:.2f}")
    assert need(p) < 2_000, "the runner's window of 2,000 bars must hold a day of minutes"
