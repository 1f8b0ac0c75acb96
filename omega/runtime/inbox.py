"""Message handlers of a service: which types it takes, each message once, success counted. Owned by BaseService."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from omega.bus.envelope import Envelope
from omega.bus.messages import Message
from omega.errors import OmegaError
from omega.runtime.vitals import Vitals
from omega.telemetry import Metrics, bound_contextvars

MessageHandler = Callable[[Any, Envelope | None], Awaitable[None]]

SEEN = 10_000
"""Message ids that are remembered to do nothing twice."""


class Inbox:
    """Hands messages to their handlers."""

    def __init__(
        self, *, service: str, metrics: Metrics, vitals: Vitals, on_error: Callable[[OmegaError, str], object]
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._vitals = vitals
        self._on_error = on_error
        self._handlers: dict[type, MessageHandler] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()

    def register(self, kind: type, handler: MessageHandler) -> None:
        """Take a message type."""
        self._handlers[kind] = handler

    def takes(self, message: object) -> bool:
        """Tell whether a handler is registered for this message's type."""
        return type(message) in self._handlers

    async def process(self, message: Message, envelope: Envelope | None) -> bool:
        """Handle one message, once by its id; a failed one may come again."""
        handler = self._handlers.get(type(message))
        if handler is None or (envelope is not None and not self._first_time(envelope.id)):
            return False
        kind = type(message).__name__
        self._metrics.counter("messages_total").labels(self._service, kind).inc()
        try:
            with (
                bound_contextvars(correlation=envelope.corr if envelope is not None else ""),
                self._metrics.histogram("handler_seconds").labels(self._service, kind).time(),
            ):
                await handler(message, envelope)
        except OmegaError as error:
            self._vitals.handled(ok=False)
            if envelope is not None:
                self._seen.pop(envelope.id, None)
            self._on_error(error, kind)
            return False
        self._vitals.handled(ok=True)
        return True

    def _first_time(self, message_id: str) -> bool:
        if message_id in self._seen:
            return False
        self._seen[message_id] = None
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return True
