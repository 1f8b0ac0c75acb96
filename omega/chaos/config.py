"""The lab's own farm: three bots that trade often on two symbols, limits that bind, waits that suit a short run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import omega
from omega.config import Settings
from omega.config.loader import load

BOTS: Final = ("lab-a", "lab-b", "lab-c")
MAX_NOTIONAL: Final = {True: 800, False: 5_000}
"""The account's limit when it shall bind and when not. Units: quote currency. One bot's position is about 500."""
NAKED_S: Final = 5.0
UNRESOLVED_S: Final = 60.0
"""The bounds of the farm: a position without its stop, and an order without a proven outcome. Units: s."""
RECOVERY_S: Final = 90.0
"""How long a recovery may take on a loaded machine before it counts as none."""

_RISK: Final = """\
trading:
  max_leverage: 3
  max_order_notional: 10000
  max_notional: {limit}
  max_daily_loss_pct: 100
runner:
  risk_pct: 1.0
"""
_TEXT: Final = """\
gateway:
  timeout_ms: 1500
  look_up_s: [0.1, 0.2, 0.5, 1.0]
  look_up_every_s: 1.0
  # The venue of the lab executes a request within 3 s of its send or never (the longest delay and the longest pause).
  proof_of_absence_s: 8
  reconcile_s: 2
  breaker: {{failures: 5, reset_s: 2, probes: 1}}
redis:
  lease_ttl_s: 4
  claim_s: 1
  claim_idle_s: 5
runner:
  window: 300
bots:
  # Two of one mind on one symbol: their entries come on the same bar.
  lab-a: {{strategy: ema_cross, symbol: BTC-USDT.P, capital: 500, params: {{fast: 3, slow: 7, {more}}}}}
  lab-b: {{strategy: ema_cross, symbol: BTC-USDT.P, capital: 500, params: {{fast: 3, slow: 7, {more}}}}}
  lab-c: {{strategy: ema_cross, symbol: ETH-USDT.P, capital: 500, params: {{fast: 4, slow: 9, {more}}}}}
"""


def write_config(folder: Path, *, tight: bool) -> Settings:
    """Write the lab's configuration into a folder and return its settings."""
    shutil.copytree(Path(omega.__file__).parents[1] / "config", folder)
    for old in (folder / "bots").glob("*.yaml"):
        old.unlink()
    text = _TEXT.format(more="stop_pct: 0.004, sizing: full")
    (folder / "bots" / "lab.yaml").write_text(text, encoding="utf-8")
    (folder / "risk.yaml").write_text(_RISK.format(limit=MAX_NOTIONAL[tight]), encoding="utf-8")
    return load(config_dir=folder, env="dev").settings
