"""Retries of reads, and deadlines."""

from __future__ import annotations

import asyncio

import pytest

from omega.errors import Stale, TransientError, Unresolved
from omega.resilience import check_deadline, left_s, retry_read, within


class Flaky:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_retry_transient_errors_are_tried_again() -> None:
    read = Flaky(TransientError("one"), TransientError("two"))

    assert await retry_read(read, first_wait_s=0.001) == "answer"
    assert read.calls == 3


async def test_retry_last_error_is_raised() -> None:
    read = Flaky(*[TransientError(str(i)) for i in range(5)])

    with pytest.raises(TransientError, match="1"):
        await retry_read(read, attempts=2, first_wait_s=0.001)
    assert read.calls == 2


async def test_retry_unknown_outcome_is_never_repeated() -> None:
    read = Flaky(Unresolved("sent, no answer"))

    with pytest.raises(Unresolved):
        await retry_read(read, first_wait_s=0.001)
    assert read.calls == 1


async def test_within_slow_block_is_stale() -> None:
    with pytest.raises(Stale, match=r"the reading took longer than 0\.01 s"):
        async with within(0.01, "the reading"):
            await asyncio.sleep(1)


def test_deadline_passed_is_stale_and_none_is_for_ever() -> None:
    check_deadline(0, 10**18, "a message")
    check_deadline(10**18, 10**18 - 1, "a message")

    assert left_s(0, 5) == float("inf")
    with pytest.raises(Stale, match=r"1\.500 s past its deadline"):
        check_deadline(10**18, 10**18 + 1_500_000_000, "an entry")
