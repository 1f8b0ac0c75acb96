"""The capability matrix of the registered venues, as text and as JSON. Shown by `omega doctor --venues`."""

from __future__ import annotations

import json
from typing import Any

from omega.plugins import venues


def matrix() -> dict[str, dict[str, Any]]:
    """Return what each registered venue declares, by name, ready for JSON.

    Raises:
        ConfigError: an adapter cannot be imported; the gateway extra is missing.
    """
    venues.discover()
    return {entry.name: _capabilities(entry.adapter).row() for entry in venues}


def show(*, as_json: bool) -> None:
    """Print the matrix: a block a venue, or JSON."""
    if as_json:
        print(json.dumps(matrix(), indent=2))
        return
    venues.discover()
    for entry in venues:
        declared = _capabilities(entry.adapter)
        print(entry.name)
        for name, text in declared.cells().items():
            print(f"  {name:<20} {text}")
        for note in declared.notes:
            print(f"  note                 {note}")


def _capabilities(adapter: Any) -> Any:
    return adapter.capabilities
