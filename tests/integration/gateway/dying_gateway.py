"""A gateway that kills itself at a chosen point of one send: run as a process of its own by the recovery tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

from pydantic import TypeAdapter

from omega.bus import Envelope, MemoryBus
from omega.config import Settings
from omega.domain import Intent
from services.gateway.service import GatewayService


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(point: str, settings: str, intent: str) -> None:
    service = GatewayService(settings=Settings.model_validate_json(settings), bus=MemoryBus(source="gateway/dying"))
    await service.initialize()
    await service.start()
    while not service.ready:  # noqa: ASYNC110 - a child of a test
        await asyncio.sleep(0.01)
    orders: Any = service.account.venue.clients[0]  # type: ignore[attr-defined]
    plain = orders.create_order

    async def dying(*args: Any, **kwargs: Any) -> Any:
        if point == "before_send":
            die()
        answer = await plain(*args, **kwargs)
        die()
        return answer

    orders.create_order = dying
    wish = TypeAdapter(Intent).validate_json(intent)
    if point == "before_commit":
        step = service.account.journal._run

        def cut(sql: str, values: Any = ()) -> Any:
            if sql == "COMMIT":
                die()
            return step(sql, values)

        service.account.journal._run = cut  # type: ignore[method-assign]
    envelope = Envelope("x", "intent", 1, time.time_ns(), "runner/1", 0, 1, "", "", wish.bot, 0, "", wish)
    service.path.accept([(envelope, wish)])
    await asyncio.sleep(10)


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    asyncio.run(main(given["point"], given["settings"], given["intent"]))
