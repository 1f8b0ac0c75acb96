"""structlog without rich, which it would import for prettier tracebacks (4.5 MB, 80 ms a process). For logging.py."""

from __future__ import annotations

import sys
from typing import Any, cast

_absent = "rich" not in sys.modules
if _absent:
    cast("dict[str, Any]", sys.modules)["rich"] = None  # Python's own way to make an import fail

import structlog  # noqa: E402 - only after rich has been put aside

if _absent:
    del sys.modules["rich"]

__all__ = ["structlog"]
