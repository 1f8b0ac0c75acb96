"""Where the Redis server is and how it is dialled: the one place that builds clients.

redis-py has two constructors with two retry defaults, and a socket time-out that fights `BLOCK`; time-outs, retries and
pool size are set here.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as RedisPy  # noqa: TID251 - this is the place that the rule sends everybody to
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from omega.errors import ConfigError

_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "valkey+unix": "unix",
    "redis+unix": "unix",
}
_DEFAULT_PORT = 6379
_TOP_PORT = 65_535


class ServerSettings(Protocol):
    """What the bus reads of the settings' section `redis`."""

    @property
    def url(self) -> str:
        """Where the server is."""

    @property
    def connect_timeout_s(self) -> float:
        """Time to connect."""

    @property
    def socket_timeout_s(self) -> float:
        """Time for one answer."""

    @property
    def pool_size(self) -> int:
        """Connections at most."""

    @property
    def degraded_s(self) -> float:
        """Silence that makes the bus degraded."""

    @property
    def isolated_s(self) -> float:
        """Silence that makes the bus isolated."""

    @property
    def outbox(self) -> int:
        """Records that wait while the server is away."""

    @property
    def claim_s(self) -> float:
        """Time between two looks for deliveries that were left behind."""

    @property
    def max_deliveries(self) -> int:
        """Failed deliveries before the dead letters."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the bus waits, in seconds, and how much it holds.

    Attributes:
        connect_s: to open a connection.
        start_s: to reach the server at start before giving up.
        socket_s: for any answer; every BLOCK stays below it.
        degraded_s: of silence until the bus calls itself degraded.
        isolated_s: of silence until it calls itself isolated.
        ping_s: between two heartbeats to the server.
        retries: of a command inside the client; the patient loop is outside.
        pool_size: connections for everything that is not the shared sender or a subscription.
        outbox: records that wait while the server is away.
        claim_s: between two looks for deliveries that another consumer left behind.
        claim_idle_s: how long a delivery must have been left alone; above three times the slowest handler.
        failures: deliveries after which a record goes to the dead letters.
        retry_s: before a failed delivery is tried again, doubled each time.
        close_s: to flush the outbox when closing.
    """

    connect_s: float = 1.0
    start_s: float = 2.5
    socket_s: float = 5.0
    degraded_s: float = 1.5
    isolated_s: float = 5.0
    ping_s: float = 0.5
    retries: int = 2
    pool_size: int = 32
    outbox: int = 500
    claim_s: float = 15.0
    claim_idle_s: float = 30.0
    failures: int = 5
    retry_s: float = 0.2
    close_s: float = 2.0

    @classmethod
    def of(cls, server: ServerSettings) -> Patience:
        """Read the settings' section; a start gives up after the time to connect."""
        return cls(
            connect_s=min(1.0, server.connect_timeout_s),
            start_s=server.connect_timeout_s,
            socket_s=server.socket_timeout_s,
            degraded_s=server.degraded_s,
            isolated_s=server.isolated_s,
            ping_s=server.degraded_s / 3,
            pool_size=server.pool_size,
            outbox=server.outbox,
            claim_s=server.claim_s,
            claim_idle_s=server.claim_s * 2,
            failures=server.max_deliveries,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Redis server as a URL names it. The password is in no text that this class makes."""

    host: str
    port: int
    path: str
    db: int
    username: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The URL as it may be logged."""
        scheme = "unix" if self.path else "rediss" if self.tls else "redis"
        who = f"{self.username}:***@" if self.password else ""
        where = f"{self.path}?db={self.db}" if self.path else f"{self.host}:{self.port}/{self.db}"
        return f"{scheme}://{who}{where}"

    @classmethod
    def parse(cls, url: str, *, password: str = "") -> Endpoint:
        """Read a URL: redis://, rediss://, unix://, valkey://, valkeys://, valkey+unix://.

        Raises:
            ConfigError: the URL is none of these, or a part of it is out of range.
        """
        scheme = urlsplit(url).scheme
        if scheme not in _SCHEMES:
            raise ConfigError(f"{masked(url)} is no Redis URL: write redis://host:6379/0, rediss://... or unix:///path")
        try:
            parts: dict[str, Any] = dict(parse_url(_SCHEMES[scheme] + url[len(scheme) :]))
            port = urlsplit(url).port
        except ValueError as error:
            raise ConfigError(f"redis.url {masked(url)} is wrong: {error}; a port is 1 to {_TOP_PORT}") from None
        parts.pop("port", None)
        return cls(
            host=str(parts.pop("host", "localhost")),
            port=_in_range(_DEFAULT_PORT if port is None else port, 1, _TOP_PORT, "port", url),
            path=str(parts.pop("path", "")),
            db=_in_range(parts.pop("db", 0), 0, 1 << 20, "db", url),
            username=str(parts.pop("username", "")),
            password=str(parts.pop("password", "")) or password,
            tls=_tls(parts) if parts.pop("connection_class", Connection) is SSLConnection else None,
            options=parts,
        )


def masked(url: str) -> str:
    """Return a URL with its password replaced."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)


def client(endpoint: Endpoint, patience: Patience, *, name: str = "omega") -> RedisPy:
    """Build a pooled redis-py client; it connects when it is first used.

    The pool blocks for a connection up to `socket_s`, then says so by name: exhaustion is an error and not a hang.
    """
    kind: type = UnixDomainSocketConnection if endpoint.path else SSLConnection if endpoint.tls else Connection
    where: dict[str, Any] = {"path": endpoint.path} if endpoint.path else {"host": endpoint.host, "port": endpoint.port}
    pool = BlockingConnectionPool(
        max_connections=patience.pool_size,
        timeout=patience.socket_s,
        connection_class=kind,
        db=endpoint.db,
        username=endpoint.username or None,
        password=endpoint.password or None,
        socket_timeout=patience.socket_s,
        socket_connect_timeout=patience.connect_s,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), patience.retries),
        health_check_interval=15,
        protocol=2,
        client_name=quote(name, safe="-_.:"),
        **where,
        **endpoint.options,
    )
    made = RedisPy(connection_pool=pool)
    made.auto_close_connection_pool = True
    return made


def _in_range(value: object, low: int, high: int, what: str, url: str) -> int:
    number = int(str(value))
    if not low <= number <= high:
        raise ConfigError(f"{what} {number} in {masked(url)} is out of range: write {low} to {high}")
    return number


def _tls(options: dict[str, Any]) -> ssl.SSLContext:
    """Build the context of the raw connections from the options that redis-py reads from the URL."""
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
