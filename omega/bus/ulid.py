"""Message ids: ULIDs that sort by time and never step back within a process. Called by every bus for every message."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_RANDOM_BITS = 80
_STRIDE_BITS = 40
LENGTH = 26


class UlidMaker:
    """Makes ids that grow strictly, also when the clock steps back or many fall into one millisecond.

    Within a millisecond the random part grows by a random stride, so ids of two processes do not meet.
    """

    def __init__(
        self, *, now_ms: Callable[[], int] | None = None, random_bits: Callable[[int], int] | None = None
    ) -> None:
        self._now_ms = now_ms or _wall_ms
        self._random_bits = random_bits or secrets.randbits
        self._last_ms = -1
        self._tail = 0
        self._stem = ""

    def __call__(self) -> str:
        """Return the next id."""
        moment = self._now_ms()
        if moment > self._last_ms:
            self._begin(moment)
        else:
            self._tail += 1 + (self._random_bits(_STRIDE_BITS) if self._tail & 63 == 0 else self._tail & 31)
            if self._tail >> _RANDOM_BITS:
                self._begin(self._last_ms + 1)
        tail = self._tail
        return self._stem + (
            _PAIRS[tail >> 70]
            + _PAIRS[tail >> 60 & 1023]
            + _PAIRS[tail >> 50 & 1023]
            + _PAIRS[tail >> 40 & 1023]
            + _PAIRS[tail >> 30 & 1023]
            + _PAIRS[tail >> 20 & 1023]
            + _PAIRS[tail >> 10 & 1023]
            + _PAIRS[tail & 1023]
        )

    def _begin(self, moment: int) -> None:
        self._last_ms = moment
        self._tail = self._random_bits(_RANDOM_BITS - 1)
        self._stem = "".join(_PAIRS[moment >> shift & 1023] for shift in (40, 30, 20, 10, 0))


def ulid_ms(text: str) -> int:
    """Return the milliseconds since 1970 that an id carries.

    Raises:
        ValueError: the text is no ULID.
    """
    if len(text) != LENGTH:
        raise ValueError(f"{text!r} is no ULID: expected {LENGTH} characters")
    moment = 0
    for letter in text[:10]:
        moment = moment << 5 | _ALPHABET.index(letter)
    return moment


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
