"""Questions between services: a stream carries the request, pub/sub the reply. Under `ask` and `serve` of each bus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from pydantic_core import PydanticSerializationError, from_json, to_json

import omega.errors
from omega._structlog import structlog
from omega.bus.envelope import Envelope
from omega.bus.messages import Reply, Request, Scalar
from omega.bus.port import Bus, Handler, Received
from omega.errors import CorruptData, OmegaError, Stale

AT_ONCE = 32
"""Requests that one process answers at the same time; further ones wait in the stream."""

asked: Final[ContextVar[Envelope | None]] = ContextVar("asked", default=None)
"""The envelope of the request that is being answered, with its correlation id; None outside of an answer."""

_BAD_PARAMS = (ValueError, TypeError, LookupError)
_ERRORS: dict[str, type[OmegaError]] = {
    name: kind for name, kind in vars(omega.errors).items() if isinstance(kind, type) and issubclass(kind, OmegaError)
}

logger = structlog.get_logger(__name__)


class Answers:
    """The replies that one asking process waits for."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Reply]] = {}

    def expect(self, request_id: str) -> asyncio.Future[Reply]:
        """Return the future of a reply."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        return future

    def forget(self, request_id: str) -> None:
        """Stop waiting; a late reply is dropped."""
        self._waiting.pop(request_id, None)

    def arrive(self, reply: Reply) -> None:
        """Hand a reply to whoever waits for it."""
        future = self._waiting.get(reply.request_id)
        if future is not None and not future.done():
            future.set_result(reply)


async def ask(
    bus: Bus,
    answers: Answers,
    *,
    reply_to: str,
    message_id: str,
    service: str,
    method: str,
    params: Mapping[str, Scalar],
    within_ns: int,
    now_ns: Callable[[], int] = time.time_ns,
) -> object:
    """Send a request and wait for its reply; see `Bus.ask`."""
    request_id = f"{reply_to}/{message_id}"
    future = answers.expect(request_id)
    try:
        async with asyncio.timeout(within_ns / 1e9):
            request = Request(service=service, method=method, params=dict(params), reply_to=reply_to)
            await bus.send(request, deadline_ns=now_ns() + within_ns, message_id=message_id)
            reply = await future
    except TimeoutError:
        raise Stale(
            f"{service} did not answer {method} within {within_ns / 1e9:g} s; is it running (omega topics doctor)?"
        ) from None
    finally:
        answers.forget(request_id)
    if reply.ok:
        return from_json(reply.result)
    raise _ERRORS.get(reply.error, OmegaError)(reply.message)


async def serve(bus: Bus, service: str, handler: Handler, *, now_ns: Callable[[], int] = time.time_ns) -> None:
    """Answer requests until cancelled; see `Bus.serve`.

    A request is acknowledged when it is taken: its asker waits a bounded time and asks again, so a late second answer
    would help nobody.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as tasks, bus.records(bus.topics.request(service), group=service) as batches:
        async for batch in batches:
            for delivery in batch:
                async with delivery:
                    received = delivery.received
                if 0 < received.envelope.deadline_ns <= now_ns():
                    logger.info("request.expired", service=service, id=received.envelope.id)
                    continue
                await gate.acquire()
                task = tasks.create_task(_answer(bus, handler, received, now_ns))
                task.add_done_callback(lambda _: gate.release())


async def _answer(bus: Bus, handler: Handler, received: Received, now_ns: Callable[[], int]) -> None:
    envelope = received.envelope
    request = envelope.data
    if not isinstance(request, Request):
        raise CorruptData(f"{received.topic} holds a {envelope.type} where only requests belong; find who sends it")
    request_id = f"{request.reply_to}/{envelope.id}"
    asked.set(envelope)
    reply = await _reply(request, request_id, handler, _left_s(envelope.deadline_ns, now_ns))
    if reply is not None and not 0 < envelope.deadline_ns <= now_ns():
        await bus.send(reply, corr=envelope.corr, cause=envelope.id)


def _left_s(deadline_ns: int, now_ns: Callable[[], int]) -> float | None:
    return (deadline_ns - now_ns()) / 1e9 if deadline_ns else None


async def _reply(request: Request, request_id: str, handler: Handler, left_s: float | None) -> Reply | None:
    try:
        async with asyncio.timeout(left_s):
            result: Any = await handler(request.method, request.params)
        return Reply(request_id=request_id, ok=True, result=to_json(result).decode(), error="", message="")
    except TimeoutError:
        logger.info("request.expired", service=request.service, method=request.method)
        return None
    except OmegaError as error:
        return Reply(request_id=request_id, ok=False, result="", error=type(error).__name__, message=str(error))
    except (*_BAD_PARAMS, PydanticSerializationError) as error:
        text = f"{request.service} cannot answer {request.method}: {type(error).__name__}: {error}"
        logger.warning("request.failed", service=request.service, method=request.method, error=str(error))
        return Reply(request_id=request_id, ok=False, result="", error="ConfigError", message=text)
