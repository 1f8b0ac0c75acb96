"""A gateway that kills itself at a chosen point of one send: run as a process of its own by the recovery tests.

It is given an intent, or a command, or both: then the intent's order is at the venue when the command comes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

from pydantic import TypeAdapter

from omega.bus import Command, Envelope, MemoryBus
from omega.config import Settings
from omega.domain import Intent, OrderState
from services.gateway import commands
from services.gateway.service import GatewayService

LATER = frozenset({"proven_absent", "again_before_send", "again_after_send"})
"""Points that are not of the first send: a fault of the venue has it lost."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(point: str, settings: str, intent: str, command: str) -> None:
    service = GatewayService(settings=Settings.model_validate_json(settings), bus=MemoryBus(source="gateway/dying"))
    await service.initialize()
    await service.start()
    while not service.ready:  # noqa: ASYNC110 - a child of a test
        await asyncio.sleep(0.01)
    if command and intent:
        send(service, intent)
        while not service.account.journal.in_state(OrderState.WORKING):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    prepare(service, point)
    if command:
        commands.RUNNER_S = 0.0  # type: ignore[misc]
        await service.commands.apply(TypeAdapter(Command).validate_json(command))
        if point == "told":
            die()
    else:
        send(service, intent)
    await asyncio.sleep(10)


def prepare(service: GatewayService, point: str) -> None:
    """Put the end at its place."""
    orders: Any = service.account.venue.clients[0]  # type: ignore[attr-defined]
    plain, sends = orders.create_order, 0

    async def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal sends
        sends += 1
        if point in LATER and sends == 1:
            return await plain(*args, **kwargs)
        if point in {"before_send", "again_before_send"}:
            die()
        answer = await plain(*args, **kwargs)
        die()
        return answer

    orders.create_order = dying
    if point == "refused":
        service.path.on_refusal = lambda _kind, _order: die()
    if point == "proven_absent":
        service.look_ups.on_absent = lambda _order: die()
    if point == "before_commit":
        step = service.account.journal._run

        def cut(sql: str, values: Any = ()) -> Any:
            if sql == "COMMIT":
                die()
            return step(sql, values)

        service.account.journal._run = cut  # type: ignore[method-assign]


def send(service: GatewayService, intent: str) -> None:
    """Let an intent come as a runner's does."""
    wish = TypeAdapter(Intent).validate_json(intent)
    envelope = Envelope("x", "intent", 1, time.time_ns(), "runner/1", 0, 1, "", "", wish.bot, 0, "", wish)
    service.path.accept([(envelope, wish)])


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    asyncio.run(main(given["point"], given["settings"], given["intent"], given["command"]))
