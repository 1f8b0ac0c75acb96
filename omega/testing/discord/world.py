"""The world of the local Discord: one application, one guild, its roles, channels and members.

Built in tests or read from YAML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from omega.errors import ConfigError

ADMINISTRATOR: Final = 1 << 3
EVERYONE_PERMISSIONS: Final = (1 << 10) | (1 << 11) | (1 << 31)
"""View channels, send messages, use application commands."""
_KEYS: Final = frozenset({"token", "application", "guild", "roles", "channels", "members", "approved_intents"})


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the guild."""

    id: str
    name: str
    permissions: int = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """A text channel of the guild; `kind` is Discord's channel type."""

    id: str
    name: str
    kind: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the guild: a human, or a bot."""

    id: str
    name: str
    roles: tuple[str, ...] = ()
    bot: bool = False
    dms_closed: bool = False


_Named = TypeVar("_Named", Role, Channel, Member)


@dataclass(slots=True)
class World:
    """Everything that exists before a bot connects; humans and roles may change while it runs."""

    token: str = "local-discord-token"  # noqa: S105 - the local Discord's token is no secret
    application_id: str = "900000000000000001"
    application_name: str = "Omega"
    guild_id: str = "100000000000000001"
    guild_name: str = "Omega Farm"
    roles: dict[str, Role] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    approved_intents: int = 0

    @classmethod
    def default(cls) -> "World":
        """Build the farm's guild: four tier roles, one member of each tier, a stranger, and the usual channels."""
        tiers = ("viewer", "trader", "operator", "admin")
        roles = {name: Role(f"20000000000000000{n}", name) for n, name in enumerate(tiers, 1)}
        channels = ("ops", "fills", "alerts", "audit")
        members = {name: Member(f"30000000000000000{n}", name, (roles[name].id,)) for n, name in enumerate(tiers, 1)}
        members["stranger"] = Member("300000000000000009", "stranger")
        return cls(
            roles=roles,
            channels={name: Channel(f"40000000000000000{n}", name) for n, name in enumerate(channels, 1)},
            members=members,
        )

    @classmethod
    def load(cls, path: Path) -> "World":
        """Read a world file.

        Raises:
            ConfigError: the file is missing, is no YAML mapping, or holds a key that means nothing.
        """
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"world file {path} cannot be read: {error}; give a YAML file or none at all") from error
        if not isinstance(data, dict):
            raise ConfigError(f"world file {path} must hold a mapping with {', '.join(sorted(_KEYS))}")
        return cls.parse(data)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "World":
        """Build a world from the mapping of a world file; what is left out is as in `default`."""
        if strange := set(data) - _KEYS:
            raise ConfigError(f"world: unknown key {min(strange)!r}; known are {', '.join(sorted(_KEYS))}")
        world = cls.default()
        application, guild = data.get("application", {}), data.get("guild", {})
        world.token = str(data.get("token", world.token))
        world.approved_intents = int(data.get("approved_intents", 0))
        world.application_id = str(application.get("id", world.application_id))
        world.application_name = str(application.get("name", world.application_name))
        world.guild_id = str(guild.get("id", world.guild_id))
        world.guild_name = str(guild.get("name", world.guild_name))
        if "roles" in data:
            world.roles = {name: _role(name, value) for name, value in data["roles"].items()}
            world.members = {name: m for name, m in world.members.items() if not m.roles}
        if "channels" in data:
            world.channels = {name: Channel(str(value), name) for name, value in data["channels"].items()}
        if "members" in data:
            world.members = {name: _member(name, value, world) for name, value in data["members"].items()}
        return world

    def role(self, key: str) -> Role:
        """Find a role by name or id."""
        return _find(self.roles, key, "role")

    def channel(self, key: str) -> Channel:
        """Find a channel by name or id."""
        return _find(self.channels, key, "channel")

    def member(self, key: str) -> Member:
        """Find a member by name or id."""
        return _find(self.members, key, "member")

    def assign(self, member: str, *roles: str) -> None:
        """Give a member exactly these roles, as an administrator of the guild would."""
        changed = replace(self.member(member), roles=tuple(self.role(name).id for name in roles))
        self.members[changed.name] = changed

    def permissions(self, member: Member) -> int:
        """Add up what a member's roles allow, @everyone included."""
        total = EVERYONE_PERMISSIONS
        for role in self.roles.values():
            if role.id in member.roles:
                total |= role.permissions
        return total


def _role(name: str, value: Any) -> Role:
    if isinstance(value, Mapping):
        return Role(str(value["id"]), name, int(value.get("permissions", 0)))
    return Role(str(value), name)


def _member(name: str, value: Mapping[str, Any], world: World) -> Member:
    roles = tuple(world.role(role).id for role in value.get("roles", ()))
    return Member(str(value["id"]), name, roles, bool(value.get("bot")), bool(value.get("dms_closed")))


def _find(table: Mapping[str, _Named], key: str, what: str) -> _Named:
    if key in table:
        return table[key]
    for thing in table.values():
        if thing.id == key:
            return thing
    raise KeyError(f"no {what} {key!r} in this world; there are {', '.join(sorted(table))}")
