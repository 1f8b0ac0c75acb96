"""Where the Redis server is and how it is dialled: the one place that builds clients.

redis-py has two constructors with two retry defaults, and a socket time-out that fights `BLOCK`; time-outs, retries and
pool size are set here.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, quote, unquote, urlsplit

from redis.asyncio import Redis as RedisPy  # noqa: TID251 - this is the place that the rule sends everybody to
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from omega.bus._pool import CountedPool
from omega.errors import ConfigError

_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "valkey+unix": "unix",
    "redis+unix": "unix",
    "redis+sentinel": "redis",
    "rediss+sentinel": "rediss",
}
_DEFAULT_PORT, _SENTINEL_PORT = 6379, 26_379
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
    def start_s(self) -> float:
        """Time to reach the server at start."""

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
    def claim_idle_s(self) -> float:
        """Idle time before another consumer's delivery is taken over."""

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
        ping_s: between two heartbeats to the server; it must be below `degraded_s`, and that below `isolated_s`, or a
            bus that is well would call itself degraded between two answers.
        retries: of a command inside the client; the patient loop is outside.
        pool_size: connections for everything that is not the shared sender or a subscription.
        outbox: records that wait while the server is away.
        claim_s: between two looks for deliveries that another consumer left behind.
        claim_idle_s: how long a delivery must have been left alone; above three times the slowest handler.
        failures: deliveries after which a record goes to the dead letters.
        retry_s: before a failed delivery is tried again, doubled each time.
        close_s: to flush the outbox when closing.

    Raises:
        ConfigError: the three times of a silence are not in their order.
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

    def __post_init__(self) -> None:
        for shorter, longer in (("ping_s", "degraded_s"), ("degraded_s", "isolated_s")):
            first, second = getattr(self, shorter), getattr(self, longer)
            if not 0 < first < second:
                raise ConfigError(
                    f"the bus's {shorter} ({first:g} s) must be above 0 and below its {longer} ({second:g} s): it "
                    f"would change its state while all is well; lower {shorter} or raise {longer}"
                )

    @classmethod
    def of(cls, server: ServerSettings) -> Patience:
        """Read the settings' section; three heartbeats fit into the silence that makes the bus degraded."""
        return cls(
            connect_s=server.connect_timeout_s,
            start_s=server.start_s,
            socket_s=server.socket_timeout_s,
            degraded_s=server.degraded_s,
            isolated_s=server.isolated_s,
            ping_s=server.degraded_s / 3,
            pool_size=server.pool_size,
            outbox=server.outbox,
            claim_s=server.claim_s,
            claim_idle_s=server.claim_idle_s,
            failures=server.max_deliveries,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Redis server as a URL names it. The password is in no text that this class makes.

    With `sentinels`, host and port are not known beforehand: `omega.bus.wire.locate` asks them who is primary at every
    connect.
    """

    host: str
    port: int
    path: str
    db: int
    username: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    sentinels: tuple[Endpoint, ...] = ()
    primary: str = ""
    """The name under which the Sentinels watch it."""

    @property
    def shown(self) -> str:
        """The URL as it may be logged."""
        scheme = "unix" if self.path else "rediss" if self.tls else "redis"
        who = f"{self.username}:***@" if self.password else ""
        if self.sentinels:
            asked = ",".join(f"{one.host}:{one.port}" for one in self.sentinels)
            return f"{scheme}+sentinel://{who}{asked}/{self.primary}/{self.db}"
        where = f"{self.path}?db={self.db}" if self.path else f"{self.host}:{self.port}/{self.db}"
        return f"{scheme}://{who}{where}"

    @classmethod
    def parse(cls, url: str, *, password: str = "") -> Endpoint:
        """Read a URL: redis://, rediss://, unix://, valkey://, valkeys://, valkey+unix://, redis+sentinel://.

        `redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/NAME[/DB]` names the Sentinels; their own login is in
        `sentinel_username` and `sentinel_password`. `rediss` is TLS: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`.

        Raises:
            ConfigError: the URL is none of these, or a part of it is out of range.
        """
        scheme = urlsplit(url).scheme
        if scheme not in _SCHEMES:
            raise ConfigError(
                f"{masked(url)} is no Redis URL: write redis://host:6379/0, rediss://..., unix:///path or "
                "redis+sentinel://host:26379,host:26379/name/0"
            )
        if scheme.endswith("+sentinel"):
            return _watched(url, password)
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


_PASSWORDS: Final = re.compile(r"(?<=//)([^:/@]*:)[^@/]+(?=@)|((?:^|[?&])(?:sentinel_)?password=)[^&]+")


def masked(url: str) -> str:
    """Return a URL with its password replaced."""
    return _PASSWORDS.sub(lambda found: (found[1] or found[2]) + "***", url)


def client(endpoint: Endpoint, patience: Patience, *, name: str = "omega") -> RedisPy:
    """Build a pooled redis-py client; it connects when it is first used.

    The pool blocks for a connection up to `socket_s`, then says so by name: exhaustion is an error and not a hang.
    """
    kind: type = UnixDomainSocketConnection if endpoint.path else SSLConnection if endpoint.tls else Connection
    where: dict[str, Any] = {"path": endpoint.path} if endpoint.path else {"host": endpoint.host, "port": endpoint.port}
    if endpoint.sentinels:
        from omega.bus._primary import PrimaryConnection, SecurePrimaryConnection

        kind = SecurePrimaryConnection if endpoint.tls else PrimaryConnection
        where = {"endpoint": endpoint, "host": "", "port": 0}
    pool = CountedPool(
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
        driver_info=None,  # CLIENT SETINFO is younger than Redis 7.0, whose access lists know no such word
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


def _watched(url: str, password: str) -> Endpoint:
    """Read a URL that names Sentinels."""
    scheme, _, rest = url.partition("://")
    where, _, query = rest.partition("?")
    login, at, address = where.rpartition("@")
    hosts, _, path = address.partition("/")
    name, _, db = path.partition("/")
    if not (hosts and name):
        raise ConfigError(f"{masked(url)} lacks a part: write redis+sentinel://host:26379,host:26379/NAME/0")
    given = {key: values[-1] for key, values in parse_qs(query).items()}
    sentinel_user, sentinel_password = given.pop("sentinel_username", ""), given.pop("sentinel_password", "")
    plain = f"{scheme.removesuffix('+sentinel')}://{login}{at}primary/{db or 0}"
    model = Endpoint.parse(
        f"{plain}?{'&'.join(f'{key}={quote(value)}' for key, value in given.items())}", password=password
    )
    return Endpoint(
        host="",
        port=0,
        path="",
        db=model.db,
        username=model.username,
        password=model.password,
        tls=model.tls,
        options=model.options,
        sentinels=tuple(_sentinel(one, url, sentinel_user, sentinel_password, model.tls) for one in hosts.split(",")),
        primary=unquote(name),
    )


def _sentinel(text: str, url: str, user: str, password: str, tls: ssl.SSLContext | None) -> Endpoint:
    host, _, port = text.strip().rpartition(":") if ":" in text else (text.strip(), "", str(_SENTINEL_PORT))
    if not (host and port.isdigit()):
        raise ConfigError(f"{text!r} in {masked(url)} is no Sentinel: write host:26379")
    where = _in_range(port, 1, _TOP_PORT, "port", url)
    return Endpoint(host=host, port=where, path="", db=0, username=user, password=password, tls=tls)


def _tls(options: dict[str, Any]) -> ssl.SSLContext:
    """Build the context of the raw connections from the options that redis-py reads from the URL.

    Raises:
        ConfigError: a certificate or key file is missing or cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if options.get("ssl_certfile"):
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    except (OSError, ssl.SSLError) as error:
        named = ", ".join(str(options[key]) for key in _FILES if options.get(key))
        raise ConfigError(f"TLS to Redis cannot be set up with {named}: {error}; check redis.tls_*") from None
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif options.get("ssl_check_hostname") is False:
        context.check_hostname = False
    else:
        options["ssl_check_hostname"] = True  # both connections alike, whatever the client's default is
    return context


_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
