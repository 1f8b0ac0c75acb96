"""ccxt's layout still allows one exchange to be imported by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import sys
from services.gateway.venues._lean import exchange_class, use_lean_ccxt
use_lean_ccxt()
found = exchange_class("bitget")
client = found({"options": {"uta": False}})
others = [name for name in sys.modules if name.startswith("ccxt.") and name.endswith("binance")]
print(found.__mro__[1].__name__, client.id, len(others), hasattr(client, "watch_orders"))
try:
    exchange_class("nowhere")
except Exception as error:
    print(type(error).__name__, "nowhere" in str(error))
"""


def test_lean_import_gives_ccxts_own_class_and_no_other_exchange() -> None:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    assert done.stdout.splitlines() == ["bitget bitget 0 True", "ConfigError True"], done.stderr
