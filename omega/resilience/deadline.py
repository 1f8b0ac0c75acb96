"""Deadlines: drop what comes too late, bound what takes too long. Used wherever a message carries a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from omega.domain import SECOND_NS
from omega.errors import Stale


def left_s(deadline_ns: int, now_ns: int) -> float:
    """Return the seconds until a deadline, negative when it has passed; no deadline is for ever."""
    return float("inf") if deadline_ns == 0 else (deadline_ns - now_ns) / SECOND_NS


def check_deadline(deadline_ns: int, now_ns: int, what: str) -> None:
    """Refuse what is too late.

    Raises:
        Stale: the deadline has passed.
    """
    left = left_s(deadline_ns, now_ns)
    if left < 0:
        raise Stale(f"{what} is {-left:.3f} s past its deadline: it is dropped, the sender may ask again")


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Bound a block in time.

    Raises:
        Stale: the time is over; the block was cancelled.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Stale(f"{what} took longer than {seconds:g} s: it was cancelled") from None
