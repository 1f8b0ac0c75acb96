"""Influences inside the back-test: off is off to the last bit, on is repeatable, a placebo is another run."""

from pathlib import Path

import numpy as np
import pytest

from omega.backtest import Market, Result
from omega.backtest.influences import CosmicSeries, Influences
from omega.backtest.presets import load_profile
from omega.engine import Bars
from omega.engine.decision import Settings, Sizing
from omega.engine.profile import Profile
from omega.plugins import strategies

run = pytest.importorskip("omega.backtest.run")
pytest.importorskip("numba", reason="numba is absent: install the extra research")

CONFIG = Path(__file__).parents[3] / "config"
HOUR_NS = 3_600_000_000_000
N = 6_000
SIX = ("strategic", "aggressive", "newbie", "scalper", "yolo", "cosmic")


@pytest.fixture(scope="module")
def market() -> Market:
    rng = np.random.default_rng(11)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.004, N)))
    open_ = np.concatenate(([100.0], close[:-1]))
    spread = np.abs(rng.normal(0.0, 0.002, N)) * close
    high, low = np.maximum(open_, close) + spread, np.minimum(open_, close) - spread
    ts = np.arange(N, dtype=np.int64) * HOUR_NS + 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS
    return Market("BTC-USDT.P", Bars.of(ts, open_, high, low, close, np.ones(N)), HOUR_NS)


def play(market: Market, influences: Influences | None) -> Result:
    strategies.discover()
    entry = strategies.get("ccxt_trend")
    rules = Settings(live=False, sizing=Sizing.RISK)
    made = run.backtest(entry, entry.params(), market, rules=rules, influences=influences)
    assert isinstance(made, Result)
    return made


def series(market: Market, risk: np.ndarray, confidence: np.ndarray | None = None) -> CosmicSeries:
    flat = np.zeros(len(risk))
    start = int(market.bars.ts[0])
    return CosmicSeries(start, HOUR_NS, risk, flat if confidence is None else confidence, flat.copy(), (1.0, 1.0, 1.0))


def wave() -> np.ndarray:
    return np.sin(np.arange(N + 1) / 50.0) * 0.5


@pytest.mark.req("0.08", "0.09", "0.47")
def test_history_with_everything_at_zero_equals_history_without(market: Market):
    bare = play(market, None)

    for off in (
        Influences(),
        Influences(profile=Profile(strength=0.0)),
        Influences(cosmic=series(market, np.zeros(N + 1))),
        Influences(profile=Profile(strength=0.0), cosmic=series(market, np.zeros(N + 1)), live=True),
    ):
        made = play(market, off)

        assert bare.trades.n > 20
        np.testing.assert_array_equal(made.equity, bare.equity)
        for name in ("side", "size", "entry_price", "exit_price", "fee", "pnl", "exit_ts"):
            np.testing.assert_array_equal(getattr(made.trades, name), getattr(bare.trades, name))


@pytest.mark.parametrize("name", SIX)
def test_history_under_a_profile_is_repeatable_and_differs_from_none(market: Market, name: str):
    profile = load_profile(name, config_dir=CONFIG)

    first, second = (play(market, Influences(profile=profile)) for _ in range(2))

    np.testing.assert_array_equal(first.equity, second.equity)
    assert first.final_equity != play(market, None).final_equity


def test_history_under_another_seed_differs(market: Market):
    frightened = Profile(fear_skip=0.7, confidence=0.1)

    one, two = (play(market, Influences(profile=frightened, seed=seed)) for seed in (1, 2))

    assert one.final_equity != two.final_equity


def test_history_under_a_sky_differs_from_its_placebo(market: Market):
    sky = series(market, wave())

    real, placebo = (play(market, Influences(cosmic=one)) for one in (sky, sky.shifted(500)))

    assert real.trades.n == placebo.trades.n
    assert real.final_equity != placebo.final_equity


@pytest.mark.req("0.13")
def test_history_in_live_mode_never_trades_larger_than_without(market: Market):
    bare = play(market, None)
    first = bare.trades.entry_ts[0]

    made = play(market, Influences(cosmic=series(market, np.full(N + 1, 0.9)), live=True))
    bold = play(market, Influences(cosmic=series(market, np.full(N + 1, 0.9))))

    np.testing.assert_array_equal(made.equity, bare.equity)
    sizes = [one.trades.size[one.trades.entry_ts == first].sum() for one in (bare, bold)]
    assert sizes[1] > sizes[0]
