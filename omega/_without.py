"""Import a package as if another one were absent, which it would import for its looks alone. For modules of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let imports of a package fail inside the block, unless it is imported already."""
    if name in sys.modules:
        yield
        return
    cast("dict[str, Any]", sys.modules)[name] = None  # Python's own way to make an import fail
    try:
        yield
    finally:
        del sys.modules[name]
