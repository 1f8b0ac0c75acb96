"""Every setting of the farm: one frozen tree, one section a subject, each field with words, unit and reload class.

Values come from `omega.config.load`; services get the whole tree and read their section. Sections of the outer services
(discord_bot, analytics, simulator, bots) live in `omega.config.outer`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal
from urllib.parse import quote

from pydantic import SecretStr, model_validator

from omega.config.cosmic import Cosmic
from omega.config.fields import BAR, LIVE, setting
from omega.config.outer import Analytics, Bot, BotKey, DiscordBot, Simulator
from omega.config.risk import Risk
from omega.config.section import NO_SECRET, Section
from omega.domain import Mode


class EnvironmentName(StrEnum):
    """The three worlds; nothing is shared between them but the images."""

    DEV = "dev"
    PAPER = "paper"
    LIVE = "live"


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


class Environment(Section):
    """Which world this process lives in, and under which name."""

    name: EnvironmentName = setting(EnvironmentName.DEV, "the world: dev, paper or live (OMEGA_ENV)")
    instance: str = setting(
        "", "this process among its equals; empty = service name and process id (pod name in Kubernetes)"
    )


class Trading(Section):
    """What may be traded, with how much, and the three switches of live mode."""

    mode: Mode = setting(Mode.PAPER, "where intents end: shadow, paper or live; live needs all three switches")
    venue: str = setting("bitget", "the venue adapter's name")
    account: str = setting("main", "the account's name in topics and books", pattern=r"^[a-z0-9_-]+$")
    live_accounts: list[str] = setting(list, "accounts that may trade real money (second switch of live mode)")
    confirmed_limits: bool = setting(
        False, "a person has read the limits below and confirms them (third switch of live mode)"
    )
    timeframe: str = setting("1m", "bars that bots decide on unless they say otherwise", pattern=r"^[1-9][0-9]*[mhdw]$")
    capital: Decimal = setting(Decimal(1000), "money of one bot unless it says otherwise", unit="quote currency", gt=0)
    max_leverage: int = setting(3, "highest leverage of any order", unit="x", reload=BAR, ge=1, le=20)
    max_notional: Decimal = setting(
        Decimal(50_000), "highest sum of all open positions of the account", unit="quote currency", reload=LIVE, gt=0
    )
    max_order_notional: Decimal = setting(
        Decimal(10_000), "highest value of one order", unit="quote currency", reload=LIVE, gt=0
    )
    max_daily_loss_pct: float = setting(
        5.0, "loss of the account since 00:00 UTC that halts entries", unit="% of equity", reload=LIVE, gt=0, le=100
    )
    stale_bars: float = setting(2.5, "age of the newest bar beyond which no bot enters", unit="bars", reload=LIVE, gt=1)


class Training(Section):
    """What makes research repeatable."""

    seed: int = setting(7, "seed of every generator of the farm", ge=0)


class Monitoring(Section):
    """Health port, logs, metrics and the bound of a shutdown."""

    host: str = setting("127.0.0.1", "address of the health and metrics port; 0.0.0.0 inside a container")
    port: int = setting(0, "health and metrics port; 0 = a free one, written to the log", ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "lowest level that is written", reload=LIVE
    )
    log_levels: dict[str, Literal["debug", "info", "warning", "error"]] = setting(
        dict, "level of single modules, by prefix of the logger's name", reload=LIVE
    )
    log_format: LogFormat = setting(LogFormat.JSON, "json for machines, console for people")
    drain_s: float = setting(20.0, "time from SIGTERM to the end", unit="s", reload=LIVE, gt=0, le=600)
    heartbeat_s: float = setting(1.0, "time between two heartbeats", unit="s", reload=LIVE, gt=0, le=60)
    profiling: bool = setting(
        False, "answer POST /profile on the health port: where time goes, who allocates memory", reload=LIVE
    )
    start_s: float = setting(120.0, "time that initialising may take", unit="s", gt=0, le=3600)


class Database(Section):
    """Where the ledger keeps what happened."""

    url: str = setting(
        "sqlite+aiosqlite:///var/omega.sqlite",
        "SQLAlchemy URL; comes from a secret file when it has a password",
        repr=False,
    )
    pool_size: int = setting(5, "connections that are kept", unit="connections", ge=1, le=100)
    max_overflow: int = setting(5, "connections beyond the pool under load", unit="connections", ge=0, le=100)
    pool_timeout_s: float = setting(5.0, "wait for a connection before the error", unit="s", gt=0)
    echo: bool = setting(False, "log every SQL statement")


AUTO = "auto"
"""The username of whoever starts: the service's own."""


class Redis(Section):
    """How the bus is reached."""

    url: str = setting(
        "redis://127.0.0.1:6379/0",
        "server URL (OMEGA_REDIS_URL): redis, rediss, redis+sentinel, rediss+sentinel, unix or valkey+unix",
        repr=False,
    )
    username: str = setting(
        "", "access-list user, put into the URL when the settings are loaded; `auto` = the service's own, ENV-SERVICE"
    )
    password: SecretStr = setting(
        NO_SECRET, "password from a secret file; put into the URL when the settings are loaded"
    )
    sentinel_username: str = setting("", "user at the Sentinels, where they want one")
    sentinel_password: SecretStr = setting(NO_SECRET, "password at the Sentinels, from a secret file")
    tls_ca_file: str = setting("", "authority that signed the server's certificate (rediss); empty = the system's")
    tls_cert_file: str = setting("", "certificate of this client, where the server wants one")
    tls_key_file: str = setting("", "its private key")
    connect_timeout_s: float = setting(1.0, "time to connect", unit="s", gt=0)
    start_s: float = setting(2.5, "time to reach the server at start before giving up", unit="s", gt=0)
    socket_timeout_s: float = setting(5.0, "time for one answer", unit="s", gt=0)
    pool_size: int = setting(32, "connections at most", unit="connections", ge=2, le=1000)
    degraded_s: float = setting(1.5, "silence that makes the bus DEGRADED", unit="s", gt=0)
    isolated_s: float = setting(5.0, "silence that makes the bus ISOLATED", unit="s", gt=0)
    outbox: int = setting(500, "records that wait while the server is away", unit="messages", ge=1)
    claim_s: float = setting(15.0, "time between two looks for deliveries left behind", unit="s", gt=0)
    claim_idle_s: float = setting(30.0, "idle time before another consumer's message is taken over", unit="s", gt=0)
    max_deliveries: int = setting(5, "failed deliveries before the dead letters", unit="deliveries", ge=1)
    lease_ttl_s: float = setting(15.0, "life of a lease without renewal", unit="s", gt=0)

    @model_validator(mode="after")
    def _silences_in_order(self) -> Redis:
        if self.degraded_s >= self.isolated_s:
            raise ValueError(
                f"degraded_s ({self.degraded_s:g} s) must be below isolated_s ({self.isolated_s:g} s): the bus would "
                "call itself isolated while all is well; lower degraded_s or raise isolated_s"
            )
        return self

    def complete(self, own_user: str = "") -> Redis:
        """Return the section with everything inside its URL; `own_user` stands for the username `auto`."""
        secret = self.password.get_secret_value()
        scheme, _, rest = self.url.partition("://")
        if secret or self.username not in {"", AUTO}:
            user = quote(own_user if self.username == AUTO else self.username, safe="")
            rest = f"{user}:{quote(secret, safe='')}@{rest.rpartition('@')[2]}"
        for name, value in self._further(scheme):
            rest += f"{'&' if '?' in rest else '?'}{name}={quote(value, safe='/')}"
        whole = f"{scheme}://{rest}"
        return self if whole == self.url else self.model_copy(update={"url": whole})

    def _further(self, scheme: str) -> list[tuple[str, str]]:
        """Return what the URL lacks: the files of TLS, the login at the Sentinels, each where the scheme wants it."""
        secure = scheme in {"rediss", "valkeys", "rediss+sentinel"}
        tls = [
            ("ssl_ca_certs", self.tls_ca_file),
            ("ssl_certfile", self.tls_cert_file),
            ("ssl_keyfile", self.tls_key_file),
        ]
        login = [
            ("sentinel_username", self.sentinel_username),
            ("sentinel_password", self.sentinel_password.get_secret_value()),
        ]
        wanted = [*(tls if secure else ()), *(login if scheme.endswith("+sentinel") else ())]
        return [(name, value) for name, value in wanted if value]


class Lanes(Section):
    """How fast each group of the venue's endpoints may be called; priority is fixed in the code."""

    orders_per_s: float = setting(8.0, "order and cancel requests", unit="1/s", reload=LIVE, gt=0)
    reads_per_s: float = setting(8.0, "private reads", unit="1/s", reload=LIVE, gt=0)
    market_per_s: float = setting(15.0, "public reads", unit="1/s", reload=LIVE, gt=0)
    burst: float = setting(4.0, "requests that may go at once", unit="requests", reload=LIVE, ge=1)


class Breaker(Section):
    """When a circuit opens, and for how long."""

    failures: int = setting(5, "failures in a row that open the circuit", unit="failures", reload=LIVE, ge=1)
    reset_s: float = setting(10.0, "time open before a read probes the venue", unit="s", reload=LIVE, gt=0)
    probes: int = setting(2, "probes in a row that close it again", unit="probes", reload=LIVE, ge=1)


class Consensus(Section):
    """The price that several venues agree on; off while no venue is named."""

    venues: list[str] = setting(list, "venues whose public prices are compared with the account's own; empty = off")
    urls: dict[str, str] = setting(dict, "REST address by venue; absent = the venue's own. Refused in live mode")
    every_s: float = setting(2.0, "time between two looks", unit="s", reload=LIVE, gt=0)
    quorum: int = setting(3, "fresh and sound sources that it takes, the own venue among them", reload=LIVE, ge=2)
    stale_s: float = setting(10.0, "age beyond which a source does not count", unit="s", reload=LIVE, gt=0)
    spread_pct: float = setting(
        1.0, "bid-ask spread beyond which a source does not count", unit="% of price", reload=LIVE, gt=0
    )
    mads: float = setting(5.0, "scaled deviations from the median that make an outlier", reload=LIVE, gt=0)
    least_pct: float = setting(
        0.3, "distance from the median that is always allowed", unit="% of price", reload=LIVE, gt=0
    )
    quarantine_after: int = setting(3, "outlying looks in a row that quarantine a venue", reload=LIVE, ge=1)
    release_after: int = setting(5, "agreeing looks in a row that release it", reload=LIVE, ge=1)


class Gateway(Section):
    """One exchange account: keys, time limits, journal, lanes, breakers."""

    rest_url: str = setting("", "REST address; empty = the venue's own. Another one is refused in live mode")
    ws_url: str = setting("", "WebSocket address; empty = the venue's own. Another one is refused in live mode")
    api_key: SecretStr = setting(NO_SECRET, "key, from a secret file", reload=LIVE)
    api_secret: SecretStr = setting(NO_SECRET, "its secret, from a secret file", reload=LIVE)
    passphrase: SecretStr = setting(NO_SECRET, "its passphrase, from a secret file", reload=LIVE)
    kill_key: SecretStr = setting(NO_SECRET, "signs POST /kill (HMAC); empty = the way is closed", reload=LIVE)
    kill_url: str = setting("", "where others reach the gateway's own port for POST /kill, as http://HOST:PORT")
    journal: str = setting("var/gateway.sqlite", "path of the order journal; its directory must survive restarts")
    halt_file: str = setting("var/HALT", "entries are halted while this file exists")
    symbols: list[str] = setting(lambda: ["BTC-USDT.P", "ETH-USDT.P"], "symbols whose bars and quotes are published")
    timeframes: list[str] = setting(lambda: ["1m"], "bars that are published")
    timeout_ms: int = setting(5_000, "time for one answer of the venue", unit="ms", reload=LIVE, ge=100, le=60_000)
    look_up_s: list[float] = setting(
        lambda: [0.2, 0.5, 1.0, 2.0, 5.0], "when an unresolved order is looked up", unit="s after"
    )
    look_up_every_s: float = setting(5.0, "time between look-ups after those", unit="s", reload=LIVE, gt=0)
    proof_of_absence_s: float = setting(
        35.0, "silence of every list that proves an order never existed", unit="s", ge=0
    )
    unresolved_halt_s: float = setting(
        60.0, "age of an unresolved order that halts entries", unit="s", reload=LIVE, gt=0
    )
    reconcile_s: float = setting(10.0, "time between two reconciliations", unit="s", reload=LIVE, gt=0)
    residual_clear_s: float = setting(
        30.0, "time a residual may stay before it halts entries", unit="s", reload=LIVE, gt=0
    )
    clock_skew_s: float = setting(
        1.0, "distance of our clock from the venue's beyond which no bot enters", unit="s", reload=LIVE, gt=0
    )
    naked_close_s: float = setting(
        3.0,
        "time without a stop, which the venue refuses, after which that part is closed",
        unit="s",
        reload=LIVE,
        gt=0,
    )
    stale_s: float = setting(30.0, "silence of the market data that makes them stale", unit="s", reload=LIVE, gt=0)
    status_s: float = setting(1.0, "time between two account statuses", unit="s", reload=LIVE, gt=0)
    quotes_per_s: float = setting(10.0, "quotes a second and symbol at most", unit="1/s", reload=LIVE, gt=0)
    recycle_s: float = setting(82_800.0, "age at which WebSocket sessions are renewed", unit="s", gt=0)
    lanes: Lanes = setting(Lanes, "rate lanes")
    breaker: Breaker = setting(Breaker, "circuit breakers")
    consensus: Consensus = setting(Consensus, "the price that several venues agree on")


class Runner(Section):
    """The container of one bot."""

    bot: str = setting("", "which bot of the section bots this process runs")
    window: int = setting(2_000, "bars in the window", unit="bars", ge=50, le=20_000)
    status_s: float = setting(1.0, "time between two bot statuses", unit="s", reload=LIVE, gt=0)
    risk_pct: float = setting(1.0, "equity lost when the stop is hit", unit="% of equity", reload=BAR, gt=0, le=10)
    intent_ttl_s: float = setting(20.0, "age at which an entry is worthless", unit="s", reload=LIVE, gt=0)
    record: str = setting("", "folder that the bot's session is recorded in, for `omega replay`; empty = none")


class Ledger(Section):
    """The durable reader of every record."""

    batch: int = setting(1_000, "records in one transaction at most", unit="records", ge=1, le=5_000)
    flush_ms: int = setting(1_000, "how long a batch waits for more", unit="ms", ge=0, le=5_000)
    equity_every_bars: int = setting(1, "bars between two kept equity rows of a bot", unit="bars", reload=LIVE, ge=1)
    archive: str = setting("var/archive", "folder of the months that have left the database")
    retain_months: int = setting(
        0, "months of records that stay in the database; older ones go to the archive, 0 = none goes", reload=LIVE, ge=0
    )
    check_s: float = setting(600.0, "time between two double-entry checks", unit="s", reload=LIVE, gt=0)
    prove_s: float = setting(86_400.0, "time between two proofs of the whole chain", unit="s", reload=LIVE, gt=0)
    heads: str = setting("", "file that the head of the chain is appended to after each check; empty = the log alone")


class Settings(Section):
    """The whole configuration of the farm; every process gets all of it and reads its sections."""

    environment: Environment = setting(Environment, "which world")
    trading: Trading = setting(Trading, "limits and the switches of live mode")
    training: Training = setting(Training, "repeatability")
    monitoring: Monitoring = setting(Monitoring, "health, logs, metrics")
    database: Database = setting(Database, "the ledger's database")
    redis: Redis = setting(Redis, "the bus")
    gateway: Gateway = setting(Gateway, "one exchange account")
    risk: Risk = setting(Risk, "the risk gate")
    runner: Runner = setting(Runner, "the container of one bot")
    cosmic: Cosmic = setting(Cosmic, "readings of the sky")
    ledger: Ledger = setting(Ledger, "the durable reader")
    analytics: Analytics = setting(Analytics, "analyses on request and on timers")
    discord_bot: DiscordBot = setting(DiscordBot, "the bot in the guild")
    simulator: Simulator = setting(Simulator, "the local exchange")
    bots: dict[BotKey, Bot] = setting(dict, "every bot by name")


OmegaConfig = Settings
"""The name that the seeds' review gives to the settings tree."""
