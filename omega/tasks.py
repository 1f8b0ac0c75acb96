"""The end of what was started: tasks cancelled and waited for, clean-ups done whole. Used by whatever owns tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

_AGAIN_S: Final = 5.0
"""Longer than what a task does on its way out."""


async def ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and return when all have ended, whatever they ended with.

    A task that goes on is cancelled again: Python 3.11's `asyncio.wait_for`, which libraries use, swallows a
    cancellation that comes together with what it waits for, and its task would go on for ever.
    """
    every = set(tasks)
    while left := {task for task in every if not task.done()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_S)
    for task in every:
        if not task.cancelled():
            task.exception()  # it has been looked at; a gather would take one more turn of the loop


async def finished(work: Coroutine[Any, Any, None]) -> None:
    """Do a step of a clean-up to its end; a cancellation that comes meanwhile takes effect after it.

    What bounds it is the work's own; a second cancellation leaves it to itself.
    """
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise
