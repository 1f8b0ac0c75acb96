"""The one import of structlog: without rich, which it would load for prettier tracebacks (4.5 MB, 80 ms a process).

Whoever may use the telemetry takes `omega.telemetry.get_logger`; what may not, as bus, lake and sweep, takes it here. A
plain `import structlog` anywhere would bring rich into every process that comes by it first.
"""

from __future__ import annotations

from omega._without import without

with without("rich"):
    import structlog

__all__ = ["structlog"]
