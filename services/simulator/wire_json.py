"""JSON at the wire: orjson where the image carries it, else the standard library. Called by every edge."""

from __future__ import annotations

import importlib
import json
from types import ModuleType
from typing import Any, Final

_fast: ModuleType | None
try:  # the simulator's image does not carry it
    _fast = importlib.import_module("orjson")
except ImportError:
    _fast = None

BROKEN: Final = (ValueError, RecursionError)
"""What `loads` raises for a text that is no JSON."""


def dumps(value: Any) -> str:
    """Write compact JSON."""
    if _fast is None:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text: bytes = _fast.dumps(value)
    return text.decode()


def loads(text: str | bytes) -> Any:
    """Read JSON; raises one of `BROKEN` for anything else."""
    return json.loads(text) if _fast is None else _fast.loads(text)
