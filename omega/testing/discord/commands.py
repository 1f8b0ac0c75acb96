"""Registered application commands.

Discord's limits on a sync, look-up by path, and turning a human's words into options.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from omega.testing.discord.bell import Bell
from omega.testing.discord.clock import WorldClock
from omega.testing.discord.refusals import ImpossibleActError, Refusal, invalid_form

Json = dict[str, Any]
CHAT, USER_MENU, MESSAGE_MENU = 1, 2, 3
SUB, GROUP = 1, 2
STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, NUMBER = 3, 4, 5, 6, 7, 8, 10
_PYTHON_TYPES: Final[dict[int, tuple[type, ...]]] = {INTEGER: (int,), BOOLEAN: (bool,), NUMBER: (int, float)}
_NAME: Final = re.compile(r"^[-_'\w]{1,32}$")
_AT_MOST: Final = {CHAT: 100, USER_MENU: 15, MESSAGE_MENU: 15}
_CREATES_A_DAY: Final = 200
_NAME_LENGTH: Final = 32
_TEXT: Final = 100
_CHILDREN: Final = 25
_CHARACTERS: Final = 8000


@dataclass(frozen=True, slots=True)
class Resolved:
    """A command found by its path: its top-level payload, the scope, and the options of the leaf that is called."""

    command: Json
    guild_id: str | None
    chain: tuple[Json, ...]

    @property
    def options(self) -> list[Json]:
        """The declared options of the leaf."""
        leaf = self.chain[-1] if self.chain else self.command
        return list(leaf.get("options") or [])

    def data(self, options: list[Json]) -> Json:
        """Nest the given options as the interaction's data."""
        for link in reversed(self.chain):
            options = [{"name": link["name"], "type": link["type"], "options": options}]
        data: Json = {"id": self.command["id"], "name": self.command["name"], "type": self.command.get("type", CHAT)}
        if options:
            data["options"] = options
        if self.guild_id:
            data["guild_id"] = self.guild_id
        return data


@dataclass(slots=True)
class CommandBook:
    """What applications have registered, per scope (None is global)."""

    clock: WorldClock
    bell: Bell
    application_id: str
    scopes: dict[str | None, list[Json]] = field(default_factory=dict)
    puts: int = 0
    creates: int = 0

    def put(self, guild_id: str | None, commands: list[Json]) -> list[Json]:
        """Overwrite a scope; a name that was there keeps its id."""
        _check(commands)
        old = {(c["type"], c["name"]): c["id"] for c in self.scopes.get(guild_id, [])}
        fresh = [c for c in commands if (c.get("type", CHAT), c["name"]) not in old]
        if self.creates + len(fresh) > _CREATES_A_DAY:
            raise Refusal(400, 30034, "Max number of daily application command creates has been reached (200)")
        self.puts += 1
        self.creates += len(fresh)
        self.scopes[guild_id] = [self._registered(c, guild_id, old) for c in commands]
        self.bell.ring()
        return self.scopes[guild_id]

    def _registered(self, command: Json, guild_id: str | None, old: Mapping[tuple[int, str], str]) -> Json:
        kind = command.get("type", CHAT)
        scope = {"guild_id": guild_id} if guild_id else {}
        return {
            "default_member_permissions": None,
            "nsfw": False,
            **command,
            **scope,
            "type": kind,
            "description": command.get("description", ""),
            "id": old.get((kind, command["name"])) or self.clock.snowflake(),
            "application_id": self.application_id,
            "version": self.clock.snowflake(),
        }

    def resolve(self, path: str, guild_id: str) -> Resolved:
        """Find the chat command that a human types, such as `bots list`."""
        words = path.lstrip("/").split()
        command, scope = self.find(CHAT, words[0], guild_id)
        chain: list[Json] = []
        level = command
        for word in words[1:]:
            inner = [o for o in level.get("options") or [] if o["type"] in {SUB, GROUP} and o["name"] == word]
            if not inner:
                raise ImpossibleActError(f"/{path}: {level['name']!r} has no subcommand {word!r}")
            level = inner[0]
            chain.append(level)
        if any(o["type"] in {SUB, GROUP} for o in level.get("options") or []):
            raise ImpossibleActError(f"/{path} is a group: it cannot be called itself")
        return Resolved(command, scope, tuple(chain))

    def find(self, kind: int, name: str, guild_id: str) -> tuple[Json, str | None]:
        """Find a top-level command of the guild, else a global one."""
        for scope in (guild_id, None):
            for command in self.scopes.get(scope, []):
                if command["type"] == kind and command["name"] == name:
                    return command, scope
        names = sorted(c["name"] for scope in self.scopes.values() for c in scope)
        raise ImpossibleActError(f"no command {name!r} is registered; there are {', '.join(names) or 'none'}")


def fill_options(resolved: Resolved, given: Mapping[str, Any], *, focused: str | None = None) -> list[Json]:
    """Turn what a human enters into option payloads, refusing what the client would not let through."""
    declared = {option["name"]: option for option in resolved.options}
    if strange := set(given) - set(declared):
        raise ImpossibleActError(f"{resolved.command['name']}: there is no option {min(strange)!r}")
    if focused is None:
        for name, option in declared.items():
            if option.get("required") and name not in given:
                raise ImpossibleActError(f"{resolved.command['name']}: option {name!r} is required")
    filled = []
    for name, value in given.items():
        if name == focused:
            if not declared[name].get("autocomplete"):
                raise ImpossibleActError(f"option {name!r} has no autocomplete")
            filled.append({"name": name, "type": declared[name]["type"], "value": value, "focused": True})
        else:
            filled.append({"name": name, "type": declared[name]["type"], "value": _value(declared[name], value)})
    return filled


def _value(option: Json, value: Any) -> Any:
    if choices := option.get("choices"):
        for choice in choices:
            if value in {choice["name"], choice["value"]}:
                return choice["value"]
        raise ImpossibleActError(f"option {option['name']!r}: {value!r} is not among the choices")
    kind = option["type"]
    if not isinstance(value, _PYTHON_TYPES.get(kind, (str,))) or (
        kind in {INTEGER, NUMBER} and isinstance(value, bool)
    ):
        raise ImpossibleActError(f"option {option['name']!r}: {value!r} has the wrong type")
    size: float | None = None
    if kind in {STRING, INTEGER, NUMBER}:
        size = len(str(value)) if kind == STRING else float(str(value))
    low = option.get("min_length") if kind == STRING else option.get("min_value")
    high = option.get("max_length") if kind == STRING else option.get("max_value")
    if size is not None and ((low is not None and size < low) or (high is not None and size > high)):
        raise ImpossibleActError(f"option {option['name']!r}: {value!r} is outside {low}..{high}")
    return value


def _check(commands: list[Json]) -> None:
    problems: list[tuple[str, str]] = []
    for kind, most in _AT_MOST.items():
        names = [c["name"] for c in commands if c.get("type", CHAT) == kind]
        if len(names) > most:
            problems.append(("commands", f"At most {most} commands of type {kind}."))
        if len(set(names)) < len(names):
            problems.append(("commands", "Application command names must be unique."))
    for command in commands:
        _check_node(command, command.get("type", CHAT), problems)
        if _characters(command) > _CHARACTERS:
            problems.append((command["name"], "Command exceeds maximum size (8000)."))
    if problems:
        raise invalid_form(problems)


def _check_node(node: Json, kind: int, problems: list[tuple[str, str]]) -> None:
    name, description = node["name"], node.get("description", "")
    if kind != CHAT:
        if description or not 1 <= len(name) <= _NAME_LENGTH:
            problems.append((name, "A context menu has a name of 1 to 32 characters and no description."))
        return
    if not _NAME.match(name) or name != name.lower():
        problems.append((name, "Names are lower-case, 1 to 32 characters."))
    if not 1 <= len(description) <= _TEXT:
        problems.append((f"{name}.description", "Must be between 1 and 100 in length."))
    options, choices = node.get("options") or [], node.get("choices") or []
    if max(len(options), len(choices)) > _CHILDREN:
        problems.append((f"{name}.options", "Must be 25 or fewer in length."))
    required = [bool(o.get("required")) for o in options]
    if required != sorted(required, reverse=True):
        problems.append((f"{name}.options", "Required options must be placed before non-required options."))
    wrong = [choice for choice in choices if not 1 <= len(str(choice["name"])) <= _TEXT]
    problems += [(f"{name}.choices", "Must be between 1 and 100 in length.") for _ in wrong]
    for option in options:
        _check_node(option, CHAT, problems)


def _characters(node: Json) -> int:
    own = len(node["name"]) + _longest(node, "description")
    own += sum(len(str(c["name"])) + len(str(c["value"])) for c in node.get("choices") or [])
    return own + sum(_characters(option) for option in node.get("options") or [])


def _longest(node: Json, key: str) -> int:
    texts = [node.get(key, ""), *(node.get(f"{key}_localizations") or {}).values()]
    return max(len(text) for text in texts)
