"""Keep freed memory in the process. Called once by a back-test, whose columns of some megabytes come and go."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

_TRIM: Final = -1
_MMAP: Final = -3
_LARGEST: Final = (1 << 30, 1 << 25)
"""What to try, the largest first: some versions of the C library take no more than 32 MiB."""


@cache
def keep_pages() -> bool:
    """Ask the C library to keep freed blocks; tell whether it does.

    Without it every column of a run is mapped anew and its pages are faulted in one by one, which takes longer than
    filling them.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    kept = any(mallopt(_MMAP, size) for size in _LARGEST)
    return bool(kept and mallopt(_TRIM, _LARGEST[0]))
