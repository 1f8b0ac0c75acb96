"""The port of the bus: what services may rely on. RedisBus and MemoryBus obey it and pass one contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from omega.bus.envelope import Envelope
from omega.bus.messages import Message, Scalar
from omega.bus.topics import Topics


class SendResult(StrEnum):
    """What became of a message."""

    SENT = "sent"
    BUFFERED = "buffered"
    DUPLICATE = "duplicate"
    DROPPED = "dropped"
    """A signal, while the server is away."""


class BusState(StrEnum):
    """How well the bus is reached (reference: when Redis is gone the farm gets safer)."""

    CONNECTED = "connected"
    DEGRADED = "degraded"
    ISOLATED = "isolated"


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came: the topic, the stream's entry id (empty for a signal) and the envelope.

    Attributes:
        raw: the bytes as they were published, where a consumer group read them; empty elsewhere and in memory.
    """

    topic: str
    entry_id: str
    envelope: Envelope
    raw: bytes = b""


class Delivery(Protocol):
    """One record in the hands of a consumer group. `async with delivery:` acknowledges on a clean exit.

    An exception inside leaves it pending: it is delivered again, and after five failures it goes to the dead letters.
    """

    received: Received
    attempts: int

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool: ...


class Lease(Protocol):
    """The right to be the one writer for a name. `epoch` grows with every owner."""

    name: str
    epoch: int

    @property
    def held(self) -> bool:
        """Tell whether this process may still act: false from two thirds of its time after the last renewal."""
        ...

    @property
    def lost(self) -> bool:
        """Tell whether it is gone for good; a lease that is neither held nor lost may still be renewed."""
        ...

    async def release(self) -> None:
        """Give the lease back so that a successor need not wait."""
        ...


Handler = Callable[[str, Mapping[str, Scalar]], Awaitable[object]]
"""A service's answer to (method, params): anything JSON can write. Errors of the farm's tree travel by class name."""


class Bus(Protocol):
    """Everything on Redis pub/sub; what must not be lost is also in a stream."""

    topics: Topics
    source: str

    async def start(self) -> None:
        """Connect and prove the rights that are needed.

        Raises:
            EnvironmentFault: the server does not answer or refuses.
        """
        ...

    async def close(self) -> None:
        """Flush the outbox within a bound and disconnect."""
        ...

    def state(self) -> BusState:
        """Return how well the bus is reached."""
        ...

    async def send(
        self,
        message: Message,
        *,
        corr: str = "",
        cause: str = "",
        deadline_ns: int = 0,
        lease: Lease | None = None,
        message_id: str = "",
    ) -> SendResult:
        """Send one message to all its topics (`Topics.of`).

        A record sent while the server is away waits in the outbox (bounded, order kept) and the answer is BUFFERED; a
        signal
        is DROPPED. `message_id` makes a repeat a DUPLICATE; without it a new ULID is made.

        Raises:
            Fenced: somebody holds a newer epoch of `lease`.
            Denied: the outbox is full.
        """
        ...

    async def send_many(
        self,
        messages: Sequence[Message],
        *,
        corr: str = "",
        cause: str = "",
        lease: Lease | None = None,
        message_ids: Sequence[str] = (),
    ) -> list[SendResult]:
        """Send several messages in order in one round trip, with as many ids or none; otherwise as `send`.

        Raises:
            ValueError: there are fewer or more ids than messages; nothing was sent.
        """
        ...

    def signals(self, *patterns: str) -> AbstractAsyncContextManager[AsyncIterator[Received]]:
        """Subscribe to topics or `*` patterns; a slow reader gets the latest of each topic, never a queue."""
        ...

    def follow(
        self, *topics: str, since: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Received]]:
        """Read topics, or all streams of a `*` pattern, completely and in order of arrival across all of them.

        `since` names the entry id by topic after which to read; a topic without one is read from now on. Records come
        from the pub/sub twin; a hole in `seq`, a reconnect, or a `since` reads the stream, so nothing is lost or
        doubled. Signals among the topics come through as they arrive.
        """
        ...

    def records(
        self, *topics: str, group: str, batch: int = 64, block_ms: int = 2_000, ranked: bool = True
    ) -> AbstractAsyncContextManager[AsyncIterator[list[Delivery]]]:
        """Read as a consumer group: at least once, own pending first, earlier topics of the list before later ones.

        A ranked reader looks at earlier topics anew before it gives what it holds of later ones, which wait for as long
        as there is news; one that is not ranked gives everything that it has read, so that no topic starves another.
        A `*` pattern is one topic: all its streams, new ones too; a batch has their records in order of arrival.
        The group is created when it is missing (also after FLUSHALL) and starts at the stream's beginning.
        """
        ...

    async def history(self, topic: str, *, count: int = 1_000, after: str = "-") -> list[Received]:
        """Return up to `count` of the newest entries of a stream, or of all streams of a `*` pattern, oldest first.

        With `after`, the entries behind that id.
        """
        ...

    async def streams(self, *topics: str) -> list[str]:
        """Return the streams behind topics: of a `*` pattern those that exist, of a name itself."""
        ...

    async def announce(self, *topics: str) -> None:
        """Name streams that are going to be written: readers of their patterns are ready before the first record.

        Without it a reader of a pattern finds a new stream at its first record, a tenth of a second late.
        """
        ...

    async def ask(
        self, service: str, method: str, params: Mapping[str, Scalar] | None = None, *, within_ns: int
    ) -> object:
        """Ask a service and wait for its JSON answer.

        Raises:
            Stale: no answer in time.
            OmegaError: what the service raised, by class.
        """
        ...

    def serve(self, service: str, handler: Handler) -> Awaitable[None]:
        """Answer requests until cancelled; requests past their deadline are dropped unanswered."""
        ...

    async def lease(self, name: str, *, ttl_s: float = 15.0) -> Lease:
        """Wait for the lease of a name, raise its epoch, and keep renewing it until it is released or lost."""
        ...

    async def put(self, key: str, value: str, *, ttl_s: float = 0) -> None:
        """Keep a small value under `Topics.state(...)`."""
        ...

    async def get(self, key: str) -> str | None:
        """Return a kept value."""
        ...

    async def take(self, key: str) -> str | None:
        """Return a kept value and delete it in one step: a nonce is used once."""
        ...
