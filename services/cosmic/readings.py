"""How a factor builds its reading: source, unit and ttl come from its registration. Used by the factors."""

from __future__ import annotations

from omega import plugins
from omega.domain import FeedState, Reading


def calculated(factor: str, at_ns: int, *, value: float, raw: float, label: str) -> Reading:
    """Return the reading of a factor that is computed exactly: confidence 1.

    Units: value in [-1, 1]; raw in the factor's unit.
    """
    entry = plugins.factors.get(factor)
    return Reading(
        factor=factor,
        value=max(-1.0, min(1.0, value)),
        raw=raw,
        unit=entry.unit,
        label=label,
        source=entry.source,
        as_of_ns=at_ns,
        ttl_s=entry.ttl_s,
        confidence=1.0,
        state=FeedState.CALCULATED,
    )
