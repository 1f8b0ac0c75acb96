"""The people of the local Discord.

They type commands, press buttons and fill dialogs, as far as a real client lets them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from omega.testing.discord import payloads
from omega.testing.discord.commands import (
    CHANNEL,
    MESSAGE_MENU,
    ROLE,
    USER,
    USER_MENU,
    fill_options,
)
from omega.testing.discord.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, FIRST_CALLBACK_S, MODAL, Interaction
from omega.testing.discord.limits import BUTTON, LABEL, LINK_STYLE, ROW, SELECTS, TEXT_INPUT
from omega.testing.discord.messages import Message
from omega.testing.discord.refusals import ImpossibleActError
from omega.testing.discord.state import State
from omega.testing.discord.world import ADMINISTRATOR, Channel, Member, Role

Json = dict[str, Any]


class Humans:
    """Everything a person does in the client; each act returns what the bot did about it."""

    def __init__(self, state: State, *, answer_within_s: float) -> None:
        self._state = state
        self._answer_within_s = answer_within_s

    async def slash(
        self, user: str, channel: str, path: str, *, options: Mapping[str, Any] | None = None, wait: bool = True
    ) -> Interaction:
        """Send a slash command such as `bots list`.

        Raises:
            ImpossibleActError: the client would not let this member send it.
        """
        who, world = self._state.world.member(user), self._state.world
        resolved = self._state.commands.resolve(path, world.guild_id)
        self._check_visible(who, resolved.command)
        given = self._ids(resolved.options, options or {})
        data = resolved.data(fill_options(resolved, given))
        if known := self._resolved(resolved.options, given):
            data["resolved"] = known
        return await self._act(COMMAND, who, channel, {"data": data}, wait=wait)

    async def autocomplete(
        self, user: str, channel: str, path: str, focused: str, typed: str, *, options: Mapping[str, Any] | None = None
    ) -> Interaction:
        """Type into an option; the choices that the bot offers are in `choices`."""
        who = self._state.world.member(user)
        resolved = self._state.commands.resolve(path, self._state.world.guild_id)
        self._check_visible(who, resolved.command)
        filled = fill_options(resolved, {**(options or {}), focused: typed}, focused=focused)
        return await self._act(AUTOCOMPLETE, who, channel, {"data": resolved.data(filled)})

    async def menu(self, user: str, channel: str, name: str, target: Message | str) -> Interaction:
        """Choose an entry of the context menu of a message, or of a member (by name)."""
        who, world = self._state.world.member(user), self._state.world
        kind = MESSAGE_MENU if isinstance(target, Message) else USER_MENU
        command, scope = self._state.commands.find(kind, name, world.guild_id)
        self._check_visible(who, command)
        data: Json = {"id": command["id"], "name": name, "type": kind}
        if scope:
            data["guild_id"] = scope
        if isinstance(target, Message):
            data.update(target_id=target.id, resolved={"messages": {target.id: target.payload()}})
        else:
            member = world.member(target)
            data.update(target_id=member.id, resolved=self._people(member))
        return await self._act(COMMAND, who, channel, {"data": data})

    async def click(
        self, user: str, message: Message, button: str, *, values: list[str] | None = None, wait: bool = True
    ) -> Interaction:
        """Press a button, or choose in a select, found by label or custom_id.

        Raises:
            ImpossibleActError: the person does not see it, or it cannot be pressed.
        """
        who = self._state.world.member(user)
        if message.deleted or (message.ephemeral and message.interaction_user != who.id):
            raise ImpossibleActError(f"{who.name} does not see this message")
        component = _pressable(message, button)
        data: Json = {"custom_id": component["custom_id"], "component_type": component["type"]}
        if component["type"] in SELECTS:
            _check_values(component, values or [])
            data["values"] = values or []
        body = {"data": data, "message": message.payload()}
        return await self._act(COMPONENT, who, message.channel_id, body, source=message, wait=wait)

    async def submit_modal(self, user: str, asked: Interaction, values: Mapping[str, str]) -> Interaction:
        """Fill and submit the dialog that an interaction opened, by label or custom_id of its inputs."""
        who = self._state.world.member(user)
        if asked.modal is None or asked.user != who.id:
            raise ImpossibleActError(f"no dialog is open for {who.name}")
        rows = [row for row in asked.modal["components"] if row["type"] in {ROW, LABEL}]
        data = {"custom_id": asked.modal["custom_id"], "components": [_filled(row, values) for row in rows]}
        body: Json = {"data": data}
        if asked.source is not None:
            body["message"] = asked.source.payload()
        return await self._act(MODAL, who, asked.channel_id, body, source=asked.source)

    async def replay(self, done: Interaction) -> None:
        """Deliver the same interaction a second time, as a RESUME may."""
        await self._state.gateway.dispatch("INTERACTION_CREATE", done.payload)

    async def _act(
        self, kind: int, who: Member, channel: str, body: Json, *, source: Message | None = None, wait: bool = True
    ) -> Interaction:
        world = self._state.world
        place = self._state.channel_id(channel)
        payload = {
            **body,
            "application_id": world.application_id,
            "type": kind,
            "version": 1,
            "attachment_size_limit": 10_485_760,
            "guild_id": world.guild_id,
            "channel_id": place,
            "channel": {**payloads.channel(world, place), "permissions": "2147483647"},
            "member": payloads.member(world, who),
            "app_permissions": "2147483647",
            "locale": "en-US",
            "guild_locale": "en-US",
            "context": 0,
            "authorizing_integration_owners": {"0": world.guild_id},
            "entitlements": [],
        }
        made = self._state.interactions.open(kind, who.id, place, payload, source)
        self._state.clock.advance(self._state.faults.late_by_s)
        await self._state.gateway.dispatch("INTERACTION_CREATE", payload)
        return await self._watch(made) if wait else made

    async def _watch(self, made: Interaction) -> Interaction:
        """Look at the screen: 3 s for a sign of life, then for the answer that it promised."""
        try:
            await made.until(lambda i: i.callback is not None or bool(i.refused), FIRST_CALLBACK_S + 0.2)
        except TimeoutError:
            return made
        if made.callback is None:
            return made
        return await made.until(lambda i: i.answered, self._answer_within_s)

    def _check_visible(self, who: Member, command: Json) -> None:
        wanted = command.get("default_member_permissions")
        allowed = self._state.world.permissions(who)
        if wanted is None or allowed & ADMINISTRATOR:
            return
        if int(wanted) == 0 or allowed & int(wanted) != int(wanted):
            raise ImpossibleActError(f"{who.name} does not see {command['name']!r}: it needs permissions {wanted}")

    def _ids(self, declared: list[Json], given: Mapping[str, Any]) -> dict[str, Any]:
        world, find = self._state.world, {option["name"]: option["type"] for option in declared}
        look: dict[int, Callable[[str], Member | Channel | Role]] = {
            USER: world.member,
            CHANNEL: world.channel,
            ROLE: world.role,
        }
        return {name: look[find[name]](value).id if find.get(name) in look else value for name, value in given.items()}

    def _resolved(self, declared: list[Json], given: Mapping[str, Any]) -> Json:
        world, known = self._state.world, {}
        kinds = {option["name"]: option["type"] for option in declared}
        for name, value in given.items():
            if kinds[name] == USER:
                known.update(self._people(world.member(value)))
            elif kinds[name] == CHANNEL:
                known["channels"] = {value: {**payloads.channel(world, value), "permissions": "0"}}
            elif kinds[name] == ROLE:
                known["roles"] = {value: {"id": value, "name": world.role(value).name, "permissions": "0"}}
        return known

    def _people(self, member: Member) -> Json:
        shown = {k: v for k, v in payloads.member(self._state.world, member).items() if k != "user"}
        return {"users": {member.id: payloads.user(member)}, "members": {member.id: shown}}


def _pressable(message: Message, key: str) -> Json:
    acts = [c for c in message.components if c["type"] == BUTTON or c["type"] in SELECTS]
    for component in acts:
        names = {component.get("label"), component.get("custom_id"), component.get("placeholder")}
        if key in names:
            if component.get("disabled"):
                raise ImpossibleActError(f"{key!r} is disabled")
            if component.get("style") == LINK_STYLE:
                raise ImpossibleActError(f"{key!r} is a link: pressing it tells the bot nothing")
            return component
    shown = ", ".join(str(c.get("label") or c.get("custom_id")) for c in acts)
    raise ImpossibleActError(f"there is nothing called {key!r} to press; there is {shown or 'nothing'}")


def _check_values(component: Json, values: list[str]) -> None:
    low, high = component.get("min_values", 1), component.get("max_values", 1)
    offered = {option["value"] for option in component.get("options") or []}
    if not low <= len(values) <= high or (offered and not set(values) <= offered):
        raise ImpossibleActError(f"{values} cannot be chosen: {low}..{high} of {sorted(offered)}")


def _filled(row: Json, values: Mapping[str, str]) -> Json:
    inner = row["component"] if row["type"] == LABEL else row["components"][0]
    names = [row.get("label"), inner.get("label"), inner["custom_id"]]
    value = next((values[name] for name in names if name in values), "")
    if inner["type"] == TEXT_INPUT:
        if inner.get("required", True) and not value:
            raise ImpossibleActError(f"the dialog wants {inner['custom_id']!r}")
        if not inner.get("min_length", 0) <= len(value) <= inner.get("max_length", 4000):
            raise ImpossibleActError(f"{inner['custom_id']!r} is too short or too long")
    field = {"type": inner["type"], "custom_id": inner["custom_id"]}
    field |= {"values": [value]} if inner["type"] in SELECTS else {"value": value}
    if row["type"] == LABEL:
        return {"type": LABEL, "id": row.get("id", 0), "component": field}
    return {"type": ROW, "components": [field]}
