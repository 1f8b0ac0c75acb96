"""The one list of processes: name, module, image, ports, needs, settings, workload.

`omega up` starts it, docker-compose.yml and deploy/k8s declare it, and a contract test holds all three against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

BOTS = ("fib-btc", "trend-eth", "positions", "market")
"""The bots that run by default, as named in config/bots: one runner each."""

UID = 10001
"""User and group of every process in a container."""

CONFIG_DIR = "/app/config"
LIVE_DIR = "/app/live"
SECRETS_DIR = "/run/secrets"
DATA_DIR = "/app/data"
STATE_DIR = "/app/state"
"""Where a container finds its configuration, hot settings, secrets, recorded data and its own durable files."""

REDIS_SECRET = "redis__password"  # noqa: S105 - the name of a file
"""The file below SECRETS_DIR that every service has: the password of its own user at the Redis server."""


ENVIRONMENTS = ("dev", "paper", "live")


def redis_user(environment: str, service: str, bot: str = "") -> str:
    """Return the name of a service's own user at the Redis server: one a service, for runners one a bot."""
    return f"{environment}-runner-{bot}" if bot else f"{environment}-{service.replace('_', '-')}"


class Workload(StrEnum):
    """What Kubernetes keeps a service as."""

    DEPLOYMENT = "Deployment"
    STATEFULSET = "StatefulSet"


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One process of the farm.

    Attributes:
        name: the name of the process, in code and on the laptop; `label` is its name in compose and Kubernetes.
        module: what `python -m` runs; empty for Redis and PostgreSQL, which are not ours.
        extra: the extra of pyproject.toml and the target of the Dockerfile; empty where `module` is.
        port: health and metrics (services), or the port that the server listens on (Redis, PostgreSQL).
        needs: names of the services that it connects to. It may reach these and `reaches`, and nothing else.
        reaches: names of the services that it may call at their own port, and starts without.
        env: settings as environment variables that a container needs beside the files in config/.
        secrets: files below SECRETS_DIR that it reads beside REDIS_SECRET, named section__field.
        ports: further named ports, for the simulator's API and its administration.
        replicas: how many processes of it run.
        kind: Deployment, or StatefulSet where a second process must never start beside the first.
        writes_disk: whether it keeps files that have to survive it; it gets a volume at STATE_DIR.
        internet: whether it may connect to the outside on port 443.
        bot: the bot that a runner hosts.
    """

    name: str
    module: str
    extra: str
    port: int
    needs: tuple[str, ...] = ()
    reaches: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=_nothing)
    secrets: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    replicas: int = 1
    kind: Workload = Workload.DEPLOYMENT
    writes_disk: bool = False
    internet: bool = False
    bot: str = ""

    @property
    def label(self) -> str:
        """The name as a DNS label: `discord_bot` is `discord-bot`."""
        return self.name.replace("_", "-")

    @property
    def ours(self) -> bool:
        """Tell our services from Redis and PostgreSQL."""
        return bool(self.module)

    def container_env(self, environment: str, *, simulator: bool = True) -> dict[str, str]:
        """Return the whole environment of the container in `dev`, `paper` or `live`.

        The instance has to be named: in containers every process is number 1. Kubernetes gives the pod's name.
        """
        return {
            "OMEGA_ENV": environment,
            "OMEGA_ENVIRONMENT__INSTANCE": self.label,
            "OMEGA_CONFIG_DIR": CONFIG_DIR,
            "OMEGA_LIVE_DIR": LIVE_DIR,
            "OMEGA_SECRETS_DIR": SECRETS_DIR,
            "OMEGA_REDIS_URL": f"redis://{REDIS.label}:{REDIS.port}/0",
            "OMEGA_REDIS__USERNAME": "auto",
            "OMEGA_MONITORING__HOST": "0.0.0.0",  # noqa: S104 - inside a container; policies decide who reaches it
            "OMEGA_MONITORING__PORT": str(self.port),
            **self.env,
            **(SIMULATED.get(self.name, {}) if simulator else {}),
        }


REDIS = ServiceSpec("redis", "", "", 6379, kind=Workload.STATEFULSET, writes_disk=True)
POSTGRES = ServiceSpec("postgres", "", "", 5432, kind=Workload.STATEFULSET, writes_disk=True)

SIMULATOR = ServiceSpec(
    "simulator",
    "services.simulator",
    "simulator",
    9106,
    needs=("redis",),
    ports=MappingProxyType({"exchange": 8090, "admin": 8091}),
    env=MappingProxyType(
        {
            "OMEGA_SIMULATOR__HOST": "0.0.0.0",  # noqa: S104 - inside a container; policies decide who reaches it
            "OMEGA_SIMULATOR__PORT": "8090",
            "OMEGA_SIMULATOR__ADMIN_PORT": "8091",
            "OMEGA_SIMULATOR__DATA_DIR": DATA_DIR,
            "OMEGA_SIMULATOR__STATE": f"{STATE_DIR}/simulator.log",
        }
    ),
    writes_disk=True,
)
"""The exchange of the demo. It stands in for Bitget in dev and paper and is absent from live."""

GATEWAY = ServiceSpec(
    "gateway",
    "services.gateway",
    "gateway",
    9101,
    needs=("redis", "simulator"),
    env=MappingProxyType(
        {
            "OMEGA_GATEWAY__JOURNAL": f"{STATE_DIR}/journal.sqlite",
            "OMEGA_GATEWAY__HALT_FILE": f"{STATE_DIR}/halt",
        }
    ),
    secrets=("gateway__api_key", "gateway__api_secret", "gateway__kill_key", "gateway__passphrase"),
    kind=Workload.STATEFULSET,
    writes_disk=True,
    internet=True,
)
"""The only door to money: one process an account, one writer of its journal."""

COSMIC = ServiceSpec("cosmic", "services.cosmic", "cosmic", 9103, needs=("redis",))
LEDGER = ServiceSpec(
    "ledger",
    "services.ledger",
    "ledger",
    9104,
    needs=("redis", "postgres"),
    env=MappingProxyType(
        {
            "OMEGA_LEDGER__ARCHIVE": f"{STATE_DIR}/archive",
            "OMEGA_LEDGER__HEADS": f"{STATE_DIR}/heads",
        }
    ),
    secrets=("database__url",),
    writes_disk=True,
)
ANALYTICS = ServiceSpec("analytics", "services.analytics", "analytics", 9107, needs=("redis",))
"""Idle until somebody asks or a timer is set; its worker process starts with the first question."""
DISCORD_BOT = ServiceSpec(
    "discord_bot",
    "services.discord_bot",
    "discord_bot",
    9105,
    needs=("redis",),
    reaches=("gateway",),
    env=MappingProxyType({"OMEGA_GATEWAY__KILL_URL": f"http://{GATEWAY.label}:{GATEWAY.port}"}),
    secrets=("discord_bot__token", "gateway__kill_key"),
    internet=True,
)
"""Joins when a token is configured; Discord allows one connection a token, so there is one of it."""

SIMULATED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "gateway": {
            "OMEGA_GATEWAY__REST_URL": "http://simulator:8090",
            "OMEGA_GATEWAY__WS_URL": "ws://simulator:8090",
        },
        "cosmic": {"OMEGA_COSMIC__CLOCK": "bars"},
    }
)
"""What changes, by service, where the simulator is the exchange: addresses, and whose time it is."""

INFRASTRUCTURE = (REDIS, POSTGRES)
RUNNER_PORT = 9102


def runner(bot: str) -> ServiceSpec:
    """Return the runner that hosts one bot.

    It reaches Redis and nothing else: a strategy cannot call out.
    """
    return ServiceSpec(
        f"runner-{bot}",
        "services.runner",
        "runner",
        RUNNER_PORT,
        needs=("redis",),
        env=MappingProxyType({"OMEGA_RUNNER__BOT": bot}),
        bot=bot,
    )


def farm(bots: Iterable[str] = BOTS, *, simulator: bool = True, discord: bool = False) -> tuple[ServiceSpec, ...]:
    """Return our services in the order in which they start.

    Args:
        bots: names from config/bots; one runner each.
        simulator: whether the simulator is the exchange (dev, paper) or a real one is (live).
        discord: whether a Discord token is configured.
    """
    first = (SIMULATOR,) if simulator else ()
    last = (DISCORD_BOT,) if discord else ()
    return (*first, LEDGER, GATEWAY, COSMIC, ANALYTICS, *map(runner, bots), *last)


def images() -> tuple[str, ...]:
    """Return the targets of the Dockerfile, one a kind of service."""
    return tuple(sorted({spec.extra for spec in farm(discord=True)}))
