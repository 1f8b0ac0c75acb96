"""structlog without rich, which it would import for prettier tracebacks (4.5 MB, 80 ms a process). For whoever logs."""

from __future__ import annotations

from omega._without import without

with without("rich"):
    import structlog

__all__ = ["structlog"]
