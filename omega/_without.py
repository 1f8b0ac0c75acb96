"""Import a package as if others were absent, which it would load without need: for looks, or for what nobody calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Hide packages that are not imported yet: inside the block their import fails."""
    hidden = [package for package in packages if package not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(hidden))  # None is what the import system takes for absent
    try:
        yield
    finally:
        for package in hidden:
            del modules[package]
