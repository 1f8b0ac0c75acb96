"""Phasing a factor out: its weight falls in a line, in a decision as over a history; then it is as if disabled."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.backtest.influences import load_influences
from omega.backtest.presets import load_preset
from omega.config import Settings
from omega.domain import MINUTE_NS, Decision, FeedState, Reading, from_iso
from omega.engine.bars import F64, I64
from omega.engine.cosmic import calculate_cosmic_influence
from omega.engine.decision import Context
from omega.engine.portfolio import Book
from omega.engine.ramps import ramp_share, ramped
from omega.engine.stages import CosmicStage
from omega.errors import ConfigError
from services.runner.charter import Charter

FROM, TO = from_iso("2025-06-01"), from_iso("2025-06-11")
HOUR_NS = 60 * MINUTE_NS
FLAT = Book(side=0, size=0.0, entry=0.0, equity=1_000.0)
RAMP = {"from": "2025-06-01", "to": "2025-06-11"}
FACTORS = {"enabled": True, "moon_phase": {"enabled": True, "weight": 0.8, "ramp": RAMP}}
PRESET = """
cosmic_factors:
  enabled: true
  moon_phase: {enabled: true, weight: 0.8, ramp: {from: 2025-06-01, to: 2025-06-11}}
  time_cycle: {enabled: true, weight: 0.5}
"""


def moon(at_ns: int) -> Reading:
    return Reading("moon_phase", 1.0, 180.0, "degree", "full", "JPL DE421", at_ns, 3_600, 1.0, FeedState.CALCULATED)


@pytest.mark.req("0.71")
@given(st.integers(FROM - 10**15, TO + 10**15), st.integers(1, 10**15))
def test_ramp_never_rises_and_stays_within_its_ends(at_ns: int, later: int):
    share = ramp_share((FROM, TO), at_ns)

    assert 0.0 <= ramp_share((FROM, TO), at_ns + later) <= share <= 1.0
    assert (share == 1.0) == (at_ns <= FROM)
    assert (share == 0.0) == (at_ns >= TO)


@pytest.mark.req("0.71")
@pytest.mark.parametrize(("day", "left"), [("2025-05-01", 1.0), ("2025-06-06", 0.5), ("2025-06-11", 0.0)])
def test_influence_follows_the_ramp(day: str, left: float):
    at_ns = from_iso(day)

    found = calculate_cosmic_influence(FACTORS, {"at_ns": at_ns, "moon_phase": "full"})

    assert found["risk_appetite"] == pytest.approx(0.5 * 0.8 * left)


def test_weights_without_ramps_are_the_very_same_mapping():
    weights = {"moon_phase": 0.8}

    assert ramped(weights, {}, FROM) is weights
    assert ramped(weights, {"moon_phase": (FROM, TO)}, TO) == {}


def test_ramp_without_an_instant_is_refused():
    with pytest.raises(ConfigError, match="at_ns"):
        calculate_cosmic_influence(FACTORS, {"moon_phase": "full"})


@pytest.mark.parametrize(
    "ramp",
    [{"from": "2025-06-11", "to": "2025-06-01"}, {"from": "2025-06-01"}, {"from": "soon", "to": "2025-06-01"},
     {"from": "2025-06-01", "until": "2025-07-01"}],
)  # fmt: skip
def test_ramp_that_is_none_is_refused_everywhere(ramp: dict[str, str], tmp_path: Path):
    factor = {"enabled": True, "weight": 0.5, "ramp": ramp}
    with pytest.raises(ConfigError):
        calculate_cosmic_influence({"enabled": True, "moon_phase": factor}, {"at_ns": FROM})
    path = tmp_path / "mine.yaml"
    path.write_text(f"cosmic_factors: {{enabled: true, moon_phase: {factor}}}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        load_preset(str(path))
    with pytest.raises((ConfigError, ValueError)):
        Settings.model_validate({"cosmic": {"factors": {"moon_phase": factor}}})


@pytest.mark.req("0.71", "0.73")
def test_stage_and_history_ramp_alike(tmp_path: Path):
    """A decision on a bar and the hour's row of a history hold the same numbers, to the last bit."""
    path = tmp_path / "mine.yaml"
    path.write_text(PRESET, encoding="utf-8")
    ts = from_iso("2025-05-30T23:00:00Z") + np.arange(24 * 14, dtype=np.int64) * HOUR_NS

    def full(factor: str, hours: I64) -> F64 | None:
        return np.full(hours.shape, 180.0) if factor == "moon_phase" else None

    series = load_influences("off", str(path), ts, timeframe_ns=HOUR_NS, readings=full).cosmic
    plan = {"strategy": "ema_cross", "symbol": "BTC-USDT.P", "params": {"fast": 2, "slow": 3}, "cosmic": str(path)} | {
        "timeframe": "1h"
    }
    settings = Settings.model_validate({"runner": {"bot": "a"}, "bots": {"a": plan}})
    stage = Charter.of(settings)._cosmic()
    entry = Decision(0, 100.0, 1, False, 1.0, 99.0, ((102.0, 1.0),), 3, 0.8, "crossed_up")

    assert series is not None
    assert len({float(value) for value in series.risk}) > 50
    for bar_ns in ts.tolist():
        made = stage(entry, Context(bar_ns, 100.0, FLAT, (moon(bar_ns + HOUR_NS),)))

        row = series.row(bar_ns, HOUR_NS)
        assert made.size == min(max(1.0 + float(series.risk[row]), 0.5), 2.0)


@pytest.mark.req("0.20", "0.71")
def test_stage_after_the_ramp_returns_the_very_same_decision():
    stage = CosmicStage.of(FACTORS, {"live": False}, timeframe_ns=MINUTE_NS)
    entry = Decision(TO, 100.0, 1, False, 1.0, 99.0, ((102.0, 1.0),), 3, 0.8, "crossed_up")

    before = stage(entry, Context(FROM - MINUTE_NS, 100.0, FLAT, (moon(FROM),)))
    after = stage(entry, Context(TO, 100.0, FLAT, (moon(TO + MINUTE_NS),)))

    assert before.size > entry.size
    assert after is entry


@pytest.mark.req("0.49")
def test_stage_in_live_mode_takes_no_simulated_reading():
    simulated = Reading("schumann_resonance", -1.0, 5.0, "Hz", "very_low", "simulated (seed 7, depleted)", FROM, 3_600,
                        1.0, FeedState.LIVE)  # fmt: skip
    factors = {"enabled": True, "schumann_resonance": {"enabled": True, "weight": 1.0}}
    entry = Decision(FROM, 100.0, 1, False, 1.0, 99.0, ((102.0, 1.0),), 3, 0.8, "crossed_up")

    play, live = (CosmicStage.of(factors, {"live": live}, timeframe_ns=0) for live in (False, True))

    context = Context(FROM, 100.0, FLAT, (simulated,))
    assert play(entry, context).size < 1.0
    assert live(entry, context) is entry
