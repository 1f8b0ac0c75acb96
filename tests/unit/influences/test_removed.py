"""A factor is one file: without it the farm starts, trades, and is bit-equal to the factor disabled."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from omega import plugins
from omega.backtest.influences import load_influences
from omega.backtest.presets import load_preset
from omega.config import Settings
from omega.domain import MINUTE_NS, from_iso
from omega.engine.bars import F64, I64
from omega.engine.decision import identity
from services.runner.charter import Charter

ROOT = Path(__file__).parents[3]
TS = from_iso("2025-06-09T00:00:00Z") + np.arange(600, dtype=np.int64) * 15 * MINUTE_NS
FACTORS = plugins.factors.discover()


@contextmanager
def without(factor: str) -> Iterator[None]:
    """Take a factor out of the registry, as a missing file does."""
    entry = plugins.factors._entries.pop(factor)
    try:
        yield
    finally:
        plugins.factors._entries[factor] = entry


def strong(factor: str, hours: I64) -> F64 | None:
    """A past in which every factor with readings would speak."""
    quantity = {"moon_phase": 180.0, "global_sentiment": 90.0, "geomagnetic_activity": 8.0, "schumann_resonance": 5.0}
    return np.full(hours.shape, quantity.get(factor, 1.0))


@pytest.mark.req("0.21", "0.23", "0.70")
@pytest.mark.parametrize("factor", FACTORS)
def test_factor_without_its_file_is_the_factor_disabled_in_history(factor: str):
    every = load_preset("all", config_dir=ROOT / "config")
    assert every is not None
    disabled = load_influences("off", every.without([factor]) or "off", TS, readings=strong).cosmic

    with without(factor):
        made = load_influences("off", every, TS, readings=strong)
        alone = load_influences("off", f"only_{factor}", TS, readings=strong, config_dir=ROOT / "config")

    assert made.cosmic is not None
    assert disabled is not None
    assert factor in made.without_history
    for name in ("risk", "confidence", "emotion"):
        assert getattr(made.cosmic, name).tobytes() == getattr(disabled, name).tobytes()
    assert alone.cosmic is None


@pytest.mark.req("0.23", "0.70")
@pytest.mark.parametrize("factor", FACTORS)
def test_factor_without_its_file_leaves_a_bot_with_the_identity(factor: str):
    plan = {"strategy": "ema_cross", "symbol": "BTC-USDT.P", "params": {"fast": 2, "slow": 3}}
    weighted = {"enabled": True, "factors": {factor: {"enabled": True, "weight": 1.0}}}
    named = {"runner": {"bot": "a"}, "bots": {"a": {**plan, "cosmic": f"only_{factor}"}}}
    of_farm = {"runner": {"bot": "a"}, "bots": {"a": plan}, "cosmic": weighted}

    for values in (named, of_farm):
        settings = Settings.model_validate(values)
        assert Charter.of(settings)._cosmic() is not identity
        with without(factor):
            charter = Charter.of(settings)
        assert charter._cosmic() is identity
        assert charter.factors == ()


@pytest.mark.req("0.23")
def test_file_that_is_deleted_leaves_a_farm_that_runs_as_without_the_factor(tmp_path: Path):
    """The real thing: a copy of the project without one file, in processes of their own."""
    for name in ("omega", "bots", "personas", "config", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "services" / "cosmic").mkdir(parents=True)
    for path in (ROOT / "services").iterdir():
        if path.name != "cosmic":
            (tmp_path / "services" / path.name).symlink_to(path)
    for path in (ROOT / "services" / "cosmic").iterdir():
        if path.name not in {"factors", "__pycache__"}:
            (tmp_path / "services" / "cosmic" / path.name).symlink_to(path)
    shutil.copytree(ROOT / "services" / "cosmic" / "factors", tmp_path / "services" / "cosmic" / "factors")
    (tmp_path / "services" / "cosmic" / "factors" / "geographic_influence.py").unlink()

    whole, gone = (_risk_of(home) for home in (ROOT, tmp_path))

    assert whole == {"factors": sorted(FACTORS), "risk": True, "missing": []}
    assert gone == {
        "factors": sorted(set(FACTORS) - {"geographic_influence"}),
        "risk": False,
        "missing": ["geographic_influence"],
    }


SCRIPT = """
import json, sys
import numpy as np
from omega import plugins
from omega.backtest.influences import load_influences
from services.cosmic import CosmicFactorService
made = load_influences("off", "only_geographic_influence", np.arange(200, dtype=np.int64) * 900_000_000_000)
risk = made.cosmic is not None and bool(made.cosmic.risk.any())
print(json.dumps({"factors": list(plugins.factors.names()), "risk": risk, "missing": list(made.without_history)}))
"""


def _risk_of(home: Path) -> object:
    # Without the safe path the interpreter would find the packages of the directory that it is started from.
    env = {**os.environ, "PYTHONPATH": str(home), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=home, env=env, capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)
