"""Retry for reads that change nothing: named errors alone, capped, with jitter. Orders are never retried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar

from omega.errors import TransientError

T = TypeVar("T")


@cache
def _stamina_is_quiet() -> None:
    """Keep stamina from writing a line a retry: the caller logs the first failure and the recovery."""
    from stamina import instrumentation

    instrumentation.set_on_retry_hooks([])


async def retry_read(
    read: Callable[[], Awaitable[T]],
    *,
    attempts: int = 4,
    within_s: float = 10.0,
    first_wait_s: float = 0.1,
    longest_wait_s: float = 2.0,
) -> T:
    """Call an idempotent read until it answers; only `TransientError` is tried again.

    Raises:
        TransientError: the last attempt failed too.
    """
    import stamina

    _stamina_is_quiet()
    async for attempt in stamina.retry_context(
        on=TransientError,
        attempts=attempts,
        timeout=within_s,
        wait_initial=first_wait_s,
        wait_max=longest_wait_s,
        wait_jitter=first_wait_s,
    ):
        with attempt:
            return await read()
    raise TransientError("the read was never tried: allow at least one attempt")
