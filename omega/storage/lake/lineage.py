"""Where bars came from: one entry a source, kept in each year's Parquet metadata and its JSON beside it.

Written by the import, `resample` and `fetch`; asked by `omega data list --lineage`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """One act that brings bars into the lake.

    Attributes:
        source: the file, series or URL that the bars were read from.
        digest: SHA-256 of that file, or the content hash of that series; empty for a venue's answers.
        steps: what was done with the rows on their way, oldest first.
        command: the command line.
        at_ns: when.
    """

    source: str
    digest: str
    steps: tuple[str, ...]
    command: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What one origin gave to one year. Units: first_ns and last_ns are open times of its first and last row."""

    origin: Origin
    rows: int
    first_ns: int
    last_ns: int

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Entry:
        """Read it back."""
        origin = dict(stored["origin"])
        origin["steps"] = tuple(origin["steps"])
        return cls(Origin(**origin), stored["rows"], stored["first_ns"], stored["last_ns"])
