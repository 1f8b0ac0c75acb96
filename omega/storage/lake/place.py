"""Where in a candle file something stands, for messages that a person can act on. Used by every reader of the lake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of rows in a file.

    Attributes:
        path: the file.
        first_row: how many rows of the file come before the stretch.
    """

    path: Path
    first_row: int = 0

    def at(self, row: int, column: str) -> str:
        """Name a row of the stretch and a column; rows count from 1 without the header, lines as an editor does."""
        number = self.first_row + row + 1
        line = f" (line {_line(self.path, number)})" if self.path.suffix == ".csv" else ""
        return f"{self.path}, row {number}{line}, column {column}"


def _line(path: Path, row: int) -> int:
    """Return the line of a CSV file that holds a row; blank lines hold none."""
    seen, line = -1, 0
    with path.open("rb") as lines:
        for line, text in enumerate(lines, start=1):  # noqa: B007 - the last line's number is the answer
            seen += bool(text.strip())
            if seen == row:
                break
    return line
