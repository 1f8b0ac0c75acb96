"""The command tree, made from the registry.

Names, options, autocomplete, and one place for checks and errors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal

import discord
from discord import app_commands

from omega.errors import Denied
from omega.plugins import CommandEntry, commands
from services.discord_bot.ask import Option
from services.discord_bot.desk import Desk
from services.discord_bot.front import Interaction

if TYPE_CHECKING:
    from services.discord_bot.client import FarmClient

_STALE = "E-CMD: this command changed a moment ago; reload Discord (Ctrl+R) and try again."
_CHOICES = 25
_Callback = Callable[..., Coroutine[Any, Any, None]]
_Complete = Callable[[Interaction, str], Coroutine[Any, Any, list[app_commands.Choice[str]]]]


class FarmTree(app_commands.CommandTree[Any]):
    """The tree of one client."""

    def __init__(self, client: FarmClient) -> None:
        super().__init__(client)
        self._client = client

    def plant(self, guild: discord.abc.Snowflake) -> None:
        """Add every registered command to a guild."""
        groups: dict[str, app_commands.Group] = {}
        commands.discover()
        for entry in commands:
            parent, _, leaf = entry.name.rpartition(" ")
            made = self._command(entry, leaf)
            if not parent:
                self.add_command(made, guild=guild)
                continue
            if parent not in groups:
                groups[parent] = app_commands.Group(name=parent, description=f"{parent.capitalize()} of the farm")
                self.add_command(groups[parent], guild=guild)
            groups[parent].add_command(made)

    def _command(self, entry: CommandEntry, name: str) -> app_commands.Command[Any, ..., None]:
        options: tuple[Option, ...] = entry.meta.get("options", ())  # type: ignore[assignment]  # as a command declared it
        callback = self._callback(entry, options)
        app_commands.describe(**{option.name: option.about for option in options})(callback)
        made: app_commands.Command[Any, ..., None] = app_commands.Command(
            name=name, description=str(entry.meta["about"]), callback=callback
        )
        for option in options:
            if option.source:
                made.autocomplete(option.name)(self._complete(entry, option))
        return made

    def _callback(self, entry: CommandEntry, options: tuple[Option, ...]) -> _Callback:
        async def run(interaction: Interaction, **given: Any) -> None:
            await self._client.front.command(entry, interaction, given)

        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # inspect documents this attribute
            [_parameter("interaction", discord.Interaction, inspect.Parameter.empty), *map(_declared, options)]
        )
        return run

    def _complete(self, entry: CommandEntry, option: Option) -> _Complete:
        async def complete(interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
            try:
                self._client.front.admit(interaction, entry.tier)
            except Denied as denied:
                await self._client.front.note(interaction, entry.name, None, f"denied: {denied.rule}", {})
                return [app_commands.Choice(name=str(denied).replace("**", "")[:100], value="-")]
            return offers(self._client.front.desk, option.source, current)

        return complete

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Let an interaction through once; the tier is checked where the command's own need is known."""
        return self._client.front.first_time(interaction)

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        """Answer whatever a command could not."""
        front = self._client.front
        path = interaction.command.qualified_name if interaction.command else "?"
        if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
            await front.say(interaction, _STALE)
            await front.note(interaction, path, None, "stale", {})
            return
        await front.broken(interaction, error, path)


def offers(desk: Desk, source: str, current: str) -> list[app_commands.Choice[str]]:
    """Fill an autocomplete from memory: at most 25, the state in the label, the id as the value."""
    wanted = current.lower().lstrip("/")
    if source == "commands":
        return [app_commands.Choice(name=f"/{n}", value=n) for n in commands.names() if wanted in n][:_CHOICES]
    if source == "symbols":
        known = desk.settings.gateway.symbols
        return [app_commands.Choice(name=one, value=one) for one in known if wanted in one.lower()][:_CHOICES]
    found = []
    for name in desk.bots():
        seen = desk.view.bots.get(name)
        label = f"{name} - {seen.value.state}, {seen.value.symbol}" if seen else f"{name} - silent"
        if wanted in label.lower():
            found.append(app_commands.Choice(name=label[:100], value=name))
    return found[:_CHOICES]


def _declared(option: Option) -> inspect.Parameter:
    kind: Any = Literal[option.choices] if option.choices else str
    if option.required:
        return _parameter(option.name, kind, inspect.Parameter.empty)
    return _parameter(option.name, kind | None, None)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation, default=default)
