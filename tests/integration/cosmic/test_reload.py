"""The seed's own YAML, letter for letter, switches factors of a running farm: the service says so, the bots follow."""

import os
from pathlib import Path

import pytest

from omega.bus import MemoryBus
from omega.config import load
from omega.config.reload import Reloader
from omega.engine.decision import identity
from omega.testing.service_contract import eventually
from services.cosmic import CosmicFactorService
from services.runner.charter import Charter

SEED = """\
cosmic_factors:
  enabled: true  # Master switch for all cosmic factors
  moon_phase: 
    enabled: true
    weight: 0.5  # Influence weight from 0.0 to 1.0
  schumann_resonance:
    enabled: false
    weight: 0.0
  market_liquidity:
    enabled: true
    weight: 0.8
  global_sentiment:
    enabled: true
    weight: 1.0
  mercury_retrograde:
    enabled: false
    weight: 0.0
"""  # noqa: W291 - the blank behind moon_phase is the seed's
WEIGHTS = {"moon_phase": 0.5, "market_liquidity": 0.8, "global_sentiment": 1.0}
BASE = "bots:\n  a: {strategy: ema_cross, symbol: BTC-USDT.P, params: {fast: 2, slow: 3}}\nrunner: {bot: a}\n"


def test_seed_is_what_the_seed_prints():
    folder = os.environ.get("OMEGA_SHARED_SEEDS") or Path(__file__).parents[4] / "shared" / "seeds"
    found = sorted(Path(folder).glob("000_*.txt"))
    if not found:
        pytest.skip(f"{folder} is absent: set OMEGA_SHARED_SEEDS to the folder of the seeds")

    printed = found[0].read_text(encoding="utf-8").split("```yaml\n")[1].split("   ```")[0]

    assert "".join(line.removeprefix("   ") for line in printed.splitlines(keepends=True)) == SEED


@pytest.mark.req("0.19", "0.62", "0.63", "0.64", "0.65", "0.66", "0.73")
async def test_seed_yaml_is_reloaded_by_a_running_service_and_by_a_bot(tmp_path: Path):
    config, live = tmp_path / "config", tmp_path / "live"
    config.mkdir()
    live.mkdir()
    (config / "base.yaml").write_text(BASE, encoding="utf-8")
    (live / "cosmic.yaml").write_text(SEED.replace("true", "false"), encoding="utf-8")
    loaded = load(config_dir=config, environ={"OMEGA_LIVE_DIR": str(live)})
    bus = MemoryBus(source="test")
    await bus.start()
    service = CosmicFactorService(settings=loaded.settings, bus=bus.peer("cosmic"))
    service.watch_config(Reloader(loaded, check_s=0.1))
    await service.initialize()
    await service.start()
    try:
        assert Charter.of(service.settings)._cosmic() is identity
        for text, weights in ((SEED, WEIGHTS), (SEED.replace("0.5", "0.25"), WEIGHTS | {"moon_phase": 0.25})):
            fresh = tmp_path / "fresh.yaml"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(live / "cosmic.yaml")
            await eventually(lambda wanted=weights: _weights(service) == wanted, within_s=20)
            rows = await bus.ask("cosmic", "factors", within_ns=60 * 10**9)
            charter = Charter.of(service.settings)
            assert {row["name"]: row["weight"] for row in rows if row["enabled"]} == weights
            assert charter.preset is not None
            assert dict(charter.preset.weights) == weights
        (live / "cosmic.yaml").write_text(SEED.replace("0.5", "1.5"), encoding="utf-8")
        await eventually(
            lambda: service.get_metrics().get('omega_config_rejected_total{service="cosmic"}', 0) >= 1, within_s=20
        )
        assert _weights(service) == WEIGHTS | {"moon_phase": 0.25}, "a weight beyond 1 is refused, the last good stays"
    finally:
        await service.shutdown()
        await bus.close()


def _weights(service: CosmicFactorService) -> dict[str, float]:
    cosmic = service.settings.cosmic
    return {name: one.weight for name, one in cosmic.factors.items() if cosmic.enabled and one.enabled}
