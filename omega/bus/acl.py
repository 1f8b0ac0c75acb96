"""The Redis user of every service, made from the registry of messages: who may write, read and hear which topic.

`omega topics acl` prints the rules, `omega up` and the deployments load them. A right that the registry does not name
does not exist: the server itself refuses a bot that orders for another, and Discord that writes a fill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from omega.bus.docs import topic_templates
from omega.bus.messages import ANY, ASKS, SPECS, MessageClass, Spec
from omega.bus.topics import ALL, Topics
from omega.errors import ConfigError
from omega.topology import redis_user

SERVICES = ("simulator", "gateway", "cosmic", "ledger", "analytics", "discord_bot", "cli")
"""Those that have one user an environment; a runner has one a bot."""

ADMIN = "admin"
"""The user of the person who runs the server: everything. No process of the farm logs in as it."""

NOBODY = "user default off resetpass ~* &* +@all"
"""Nobody can be the default user, who is off and has no password. The rights are the server's own: it reads its
append-only file back as that user, and without them many servers (Redis 7.0.15 was seen to) silently drop whatever a
script or a transaction has written: https://github.com/valkey-io/valkey/issues/3983."""

_CONNECT = (
    *("ping", "echo", "reset", "quit", "select", "hello", "auth", "time", "info", "role", "wait"),
    *("client|setname", "client|getname", "client|id", "acl|whoami"),
    *("script|load", "script|exists", "unsubscribe", "punsubscribe"),
)
_APPEND = ("xadd", "xtrim", "type", "xlen", "xinfo|groups", "xpending")
_LOOK = ("xrange", "xrevrange", "xlen", "xinfo|stream", "xinfo|groups", "type", "exists", "memory|usage")
_GROUP = ("xreadgroup", "xack", "xclaim", "xpending", "xrange", "xrevrange", "xgroup|create", "xinfo|groups")
_KEEP = ("get", "set", "getdel", "del", "exists", "incr")
_SCRIPT = ("eval", "evalsha")
_HEAR = ("subscribe", "psubscribe")
_ALL_BOTS, _ONE_BOT = "{env}:evt:ledger", "{env}:evt:bot:{bot}"
"""The same events twice: a runner reads those of its bot, everybody else those of all."""


@dataclass(frozen=True, slots=True)
class State:
    """A kind of key under `Topics.state(...)`: the name behind `st:`, who keeps it and who looks at it."""

    key: str
    keepers: tuple[str, ...]
    readers: tuple[str, ...] = ()


STATES = (
    State("lease:bot:{bot}", ("runner",)),
    State("epoch:bot:{bot}", ("runner",)),
    State("runner:{bot}", ("runner",)),
    State("standing:{bot}", ("gateway",), ("runner",)),
    State("lease:gateway:*", ("gateway",)),
    State("epoch:gateway:*", ("gateway",)),
    State("outbox:*", ("gateway",)),
    State("halt:*", ("gateway",), ("runner", "discord_bot", "cli")),
    State("instrument:*", ("gateway",), ("runner", "cosmic", "discord_bot", "cli")),
    State("lease:cosmic", ("cosmic",)),
    State("epoch:cosmic", ("cosmic",)),
    State("feed:*", ("cosmic",)),
    State("lease:analytics", ("analytics",)),
    State("epoch:analytics", ("analytics",)),
    State("lease:discord", ("discord_bot",)),
    State("epoch:discord", ("discord_bot",)),
    State("discord:*", ("discord_bot",)),
    State("confirm:*", ("discord_bot",)),
)
"""Every kept value of the farm; a test holds the calls in the code against it."""


@dataclass(slots=True)
class Rights:
    """What one user may do, as patterns of keys and channels.

    Attributes:
        appends: streams that it writes.
        publishes: channels that it speaks on, the twins of those streams among them.
        reads: streams that it reads.
        drains: streams that it reads as a consumer group, with the right to acknowledge.
        buries: dead letters that it writes.
        hears: channels that it listens to.
        keeps: values that it writes and reads.
        looks: values that it reads.
    """

    appends: set[str] = field(default_factory=set)
    publishes: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    drains: set[str] = field(default_factory=set)
    buries: set[str] = field(default_factory=set)
    hears: set[str] = field(default_factory=set)
    keeps: set[str] = field(default_factory=set)
    looks: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class User:
    """One user of the server.

    Attributes:
        name: `ENV-SERVICE`, for a runner `ENV-runner-BOT`.
        rules: what follows the name and the password in the server's own language.
    """

    name: str
    rules: str

    def line(self, password: str = "") -> str:
        """Return the line of an ACL file; without a password nobody can log in as this user."""
        secret = f"#{hashlib.sha256(password.encode()).hexdigest()}" if password else "resetpass"
        return f"user {self.name} on {secret} {self.rules}"


def rights(env: str, service: str, bot: str = "") -> Rights:
    """Return what a service may do, from SPECS, ASKS and STATES.

    Raises:
        ConfigError: there is no such service, or a runner without a bot.
    """
    if service not in (*SERVICES, "runner"):
        raise ConfigError(f"there is no service {service!r}: one of {', '.join((*SERVICES, 'runner'))}")
    if (service == "runner") != bool(bot):
        raise ConfigError("a runner's user is its bot's: name the bot (and only for a runner)")
    found = Rights()
    for spec in SPECS:
        for template in topic_templates(spec):
            if service in spec.producers or ANY in spec.producers:
                _produce(found, spec, _mine(template, env, bot, _asked(spec, service)))
            if service in spec.consumers and template != (_ALL_BOTS if bot else _ONE_BOT):
                whose = (service,) if spec.name == "request" else (ALL,)
                # Whoever asks hears its own answers alone; who answers may speak to all that ask.
                heard = template.replace("{instance}", f"{service}:*") if spec.name == "reply" else template
                _consume(found, _mine(heard, env, bot, whose), drains=service in spec.groups)
    if service == "cli":  # `omega topics` looks at everything
        found.reads.add(f"{env}:*")
        found.hears.add(f"{env}:*")
    _keep(found, Topics(env), service, bot)
    return found


def users(env: str, bots: Iterable[str]) -> list[User]:
    """Return the users of an environment: one a service, one a bot's runner."""
    made = [user(env, service) for service in SERVICES]
    return made + [user(env, "runner", bot) for bot in bots]


def user(env: str, service: str, bot: str = "") -> User:
    """Return one user; see `rights` for the errors."""
    may = rights(env, service, bot)
    return User(redis_user(env, service, bot), rules(env, may, also=("scan",) if service == "cli" else ()))


def acl_file(made: Iterable[User], passwords: Mapping[str, str], *, admin: str = "") -> str:
    """Return a whole ACL file: nobody without a name, the users with their hashed passwords, the administrator.

    Raises:
        ConfigError: a user has no password, or two share one.
    """
    made = list(made)
    if missing := [one.name for one in made if not passwords.get(one.name)]:
        raise ConfigError(
            f"no password for {', '.join(missing)}: omega topics acl --passwords DIR makes what is missing"
        )
    given = [passwords[one.name] for one in made] + ([admin] if admin else [])
    if len(set(given)) < len(given):
        raise ConfigError("two users share a password: give each its own, else one secret opens both")
    boss = User(ADMIN, "~* &* +@all").line(admin) if admin else ""
    lines = [NOBODY, *(one.line(passwords[one.name]) for one in made), boss]
    return "\n".join(line for line in lines if line) + "\n"


def _produce(found: Rights, spec: Spec, topics: Iterable[str]) -> None:
    found.publishes.update(topics)
    if spec.delivery is MessageClass.RECORD:
        found.appends.update(topics)


def _consume(found: Rights, topics: Iterable[str], *, drains: bool) -> None:
    found.hears.update(topics)
    found.reads.update(topics)  # of a signal too: a follower looks for a stream behind every topic
    if drains:
        found.drains.update(topics)


def _keep(found: Rights, topics: Topics, service: str, bot: str) -> None:
    """Add the values under `Topics.state(...)`, the marks of what it sends and the dead letters of what it drains."""
    for state in STATES:
        key = topics.state(state.key.replace("{bot}", bot or ALL))
        if service in state.keepers:
            found.keeps.add(key)
        elif service in state.readers:
            found.looks.add(key)
    found.keeps |= {topics.seen(stream, ALL) for stream in found.appends}
    found.buries |= {topics.dead_letters(stream) for stream in found.drains}


def _asked(spec: Spec, service: str) -> tuple[str, ...]:
    """Return what `{service}` stands for in the topics that a service writes: itself, or whom it may ask."""
    return ASKS.get(service, ()) if spec.name == "request" else (service,)


def _mine(template: str, env: str, bot: str, stands_for: Iterable[str]) -> list[str]:
    """Fill in a topic template: environment, bot and service where they are known, `*` for everything else."""
    topic = template.replace("{env}", env)
    if bot:
        topic = topic.replace("{bot}", bot)
    if "{service}" not in topic:
        return [_starred(topic)]
    return [_starred(topic.replace("{service}", name)) for name in stands_for]


def _starred(topic: str) -> str:
    return ":".join(ALL if part.startswith("{") else part for part in topic.split(":"))


def rules(env: str, may: Rights, *, also: Sequence[str] = ()) -> str:
    """Write rights in the server's language: one selector a kind of right, so that reading never grants writing.

    Args:
        env: the environment whose index of streams is used.
        may: the rights.
        also: further commands that take no key.
    """
    index = Topics(env).streams()
    scripted = {*may.keeps, *may.appends, *may.drains, *may.buries}
    growing = bool(may.appends or may.drains or any(ALL in topic for topic in may.reads))
    selectors = [
        _selector(_SCRIPT, write=scripted),
        _selector([*_APPEND, "publish"], write={*may.appends, *may.buries}, channels={*may.publishes, index}),
        _selector(_KEEP, write=may.keeps),
        _selector(["get", "exists"], read=may.looks),
        _selector(_LOOK, read={*may.reads, *may.appends}),
        _selector(_GROUP, write=may.drains),
        _selector(_HEAR, channels={*may.hears, *({index} if growing else ())}),
        _selector(["sadd", "smembers"], write={index} if growing else set()),
    ]
    own = " ".join(f"+{command}" for command in [*_CONNECT, *also])
    return f"-@all {own} {' '.join(selector for selector in selectors if selector)}"


def _selector(
    commands: Iterable[str],
    *,
    write: Iterable[str] = (),
    read: Iterable[str] = (),
    channels: Iterable[str] = (),
) -> str:
    """Return one selector: these commands on these keys and channels, and nothing when there are none of either."""
    keys = [f"~{key}" for key in sorted(write)] + [f"%R~{key}" for key in sorted(read)]
    heard = [f"&{channel}" for channel in sorted(channels)]
    if not keys and not heard:
        return ""
    return f"({' '.join([*(f'+{command}' for command in commands), *keys, *heard])})"
