"""Between Discord and the handlers.

Who may, acknowledge first, act second, answer, and write down what happened.

The tree calls it for commands and autocomplete, the confirm buttons for presses.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import discord

from omega.bus import AuditNote
from omega.errors import ConfigError, Denied, OmegaError
from omega.plugins import CommandEntry, commands
from omega.resilience import ended
from omega.telemetry import Metrics, get_logger
from services.discord_bot.ask import Ask, Caller
from services.discord_bot.card import Card, Tone, embed, files
from services.discord_bot.confirm import Question, Questions
from services.discord_bot.desk import Desk
from services.discord_bot.safe import safe
from services.discord_bot.tiers import Tier, tier, tier_of

Interaction = discord.Interaction[Any]
Runner = Callable[[Ask], Awaitable[Card]]
LOG = get_logger("services.discord_bot")
_SEEN: Final = 5_000
_EXPIRED: Final = "E-EXPIRED: this dialog expired or was used already. Run the command again."
_LATE: Final = frozenset({10062, 40060, 50027})
"""Discord's codes for an answer that nobody waits for any more."""


class Front:
    """Runs every interaction through one chain of checks and one way of answering."""

    def __init__(self, desk: Desk, metrics: Metrics) -> None:
        self.desk = desk
        self.questions = Questions(desk.bus)
        self._metrics = metrics
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._at_work: set[asyncio.Task[Any]] = set()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Remember the task of an interaction, so that the end of the session can end it."""
        task = asyncio.current_task()
        assert task is not None
        self._at_work.add(task)
        try:
            yield
        finally:
            self._at_work.discard(task)

    async def close(self) -> None:
        """End what is still being watched: the orders themselves are on the bus."""
        await ended(self._at_work)

    # ---- who may

    def first_time(self, interaction: Interaction) -> bool:
        """Tell whether this interaction is new: a RESUME may deliver one again."""
        if interaction.id in self._seen:
            LOG.warning("interaction.repeated", interaction=interaction.id)
            return False
        self._seen[interaction.id] = None
        if len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        return True

    def admit(self, interaction: Interaction, need: str) -> Caller:
        """Return the caller when this member may do what needs this tier, here and now.

        Raises:
            Denied: another guild, a bot, roles not loaded yet, or too low a tier.
        """
        settings = self.desk.settings.discord_bot
        if str(interaction.guild_id) != settings.guild_id:
            raise Denied("E-GUILD: this server is not the farm's server.", rule="guild")
        guild = interaction.client.get_guild(int(settings.guild_id))
        member = interaction.user
        if guild is None or guild.unavailable or not isinstance(member, discord.Member):
            raise Denied("E-START: starting up, roles are not loaded yet. Try again in a few seconds.", rule="start")
        if member.bot:
            raise Denied("E-TIER: bots may not command the farm.", rule="tier")
        roles = tuple(role.id for role in member.roles)
        held = tier_of(settings, member.id, roles)
        if held is Tier.NONE:
            raise Denied("E-NOROLE: you have no role in this farm yet; ask an admin for one.", rule="role")
        if held < tier(need):
            raise Denied(f"E-TIER: you need **{need}** for this; you have **{held.word}**.", rule="tier")
        return Caller(member.id, member.name, held, roles)

    # ---- commands

    async def command(self, entry: CommandEntry, interaction: Interaction, options: Mapping[str, Any]) -> None:
        """Run one slash command."""
        with self._working():
            await self._command(entry, interaction, options)

    async def _command(self, entry: CommandEntry, interaction: Interaction, options: Mapping[str, Any]) -> None:
        given = {name: str(value) for name, value in options.items() if value is not None}
        began = time.perf_counter()
        caller = await self._admitted(interaction, entry, given)
        if caller is None:
            return
        # What changes the farm is acknowledged before anything happens, and what takes long before people wonder.
        deferred, private = entry.latency in {"command", "slow"}, self._private(entry, interaction)
        if deferred and not await self._acknowledge(interaction, entry.name, private=private):
            return
        if deferred:
            self._acknowledged(entry.name, began)
        ask = Ask(entry.name, str(interaction.id), caller, given, self.desk, self._editor(interaction))
        card, outcome = await self._run(entry.handler, ask)
        try:
            if deferred:
                await ask.show(card)
            else:
                await self._answer(interaction, card, caller, private=private)
                self._acknowledged(entry.name, began)
        except discord.HTTPException as error:
            outcome = self._unheard(error, entry.name)
        await self.note(interaction, entry.name, caller, outcome, given)

    async def _admitted(self, interaction: Interaction, entry: CommandEntry, given: Mapping[str, str]) -> Caller | None:
        try:
            return self.admit(interaction, entry.tier)
        except Denied as denied:
            await self._refuse(interaction, denied)
            await self.note(interaction, entry.name, None, f"denied: {denied.rule}", given)
            return None

    async def _acknowledge(self, interaction: Interaction, path: str, *, private: bool) -> bool:
        """Defer; nothing with a side effect happens when this did not come through."""
        try:
            await interaction.response.defer(thinking=True, ephemeral=private)
        except discord.HTTPException as error:
            await self.note(interaction, path, None, self._unheard(error, path), {})
            return False
        return True

    async def _run(self, handler: Runner, ask: Ask) -> tuple[Card, str]:
        try:
            return await handler(ask), "ok"
        except (Denied, ConfigError) as error:
            return Card("Refused", Tone.WARN, text=_refusal(error, ask.id), public=False), f"refused: {error}"
        except OmegaError as error:
            LOG.warning("command.failed", command=ask.path, error=str(error))
            text = f"E-READ: {safe(str(error), 500)}\nref {ask.id[-6:]}"
            return Card("Failed", Tone.DANGER, text=text, public=False), f"failed: {type(error).__name__}"

    async def _answer(self, interaction: Interaction, card: Card, caller: Caller, *, private: bool) -> None:
        hidden = private if card.public is None else not card.public
        if card.confirm is None:
            await interaction.response.send_message(embed=embed(card), ephemeral=hidden)
            return
        from services.discord_bot.buttons import question_view

        life_s = self.desk.settings.discord_bot.confirm_s
        nonce = await self.questions.ask(card.confirm, caller.id, now_ns=self.desk.now_ns, life_s=life_s)
        view = question_view(nonce, card.confirm.label)
        await interaction.response.send_message(embed=embed(card), view=view, ephemeral=True)

    def _private(self, entry: CommandEntry, interaction: Interaction) -> bool:
        """Reads are public in the farm's own channels and private elsewhere; what changes the farm is public."""
        if entry.meta.get("private"):
            return True
        channels = self.desk.settings.discord_bot.channels
        own = {channels.trades, channels.alerts, channels.audit}
        return entry.latency != "command" and str(interaction.channel_id) not in own

    def _editor(self, interaction: Interaction) -> Callable[[Card], Awaitable[None]]:
        async def show(card: Card) -> None:
            await interaction.edit_original_response(embed=embed(card), view=None, attachments=files(card))

        return show

    # ---- buttons

    async def press(self, interaction: Interaction, nonce: str, *, yes: bool) -> None:
        """Answer a question: the whole chain of checks runs again, then the nonce is used up, then it happens."""
        with self._working():
            await self._press(interaction, nonce, yes=yes)

    async def _press(self, interaction: Interaction, nonce: str, *, yes: bool) -> None:
        began = time.perf_counter()
        question = await self.questions.look(nonce)
        try:
            entry, caller = self._pressed(interaction, question)
        except Denied as denied:
            await self._refuse(interaction, denied)
            await self.note(interaction, "confirm", None, f"denied: {denied.rule}", {"nonce": nonce})
            return
        assert question is not None
        try:
            await interaction.response.defer()
        except discord.HTTPException as error:
            await self.note(interaction, entry.name, caller, self._unheard(error, entry.name), question.args)
            return
        self._acknowledged(entry.name, began)
        if await self.questions.take(nonce) is None:
            await self.say(interaction, "E-USED: already done.")
            await self.note(interaction, entry.name, caller, "denied: used", question.args)
            return
        await self._settle(interaction, entry, caller, question, yes=yes)

    def _pressed(self, interaction: Interaction, question: Question | None) -> tuple[CommandEntry, Caller]:
        if question is None or question.expires_ns < self.desk.now_ns:
            raise Denied(_EXPIRED, rule="expired")
        entry = commands.get(question.action)
        caller = self.admit(interaction, entry.tier)
        if caller.id != question.actor:
            raise Denied("E-NOTYOURS: only the person who asked can press this.", rule="not yours")
        return entry, caller

    async def _settle(
        self, interaction: Interaction, entry: CommandEntry, caller: Caller, question: Question, *, yes: bool
    ) -> None:
        show = self._editor(interaction)
        if not yes:
            await show(Card("Cancelled", Tone.STOPPED, text="Nothing was sent."))
            await self.note(interaction, entry.name, caller, "cancelled", question.args)
            return
        ask = Ask(entry.name, str(interaction.id), caller, question.args, self.desk, show)
        await self.note(interaction, entry.name, caller, "confirmed", question.args)
        handler: Runner = entry.meta["confirmed"]  # type: ignore[assignment]  # the registry keeps what a command declared
        card, outcome = await self._run(handler, ask)
        await show(card)
        if card.public:
            await interaction.followup.send(embed=embed(card), ephemeral=False)
        await self.note(interaction, entry.name, caller, outcome, question.args)

    # ---- answering without a card

    async def _refuse(self, interaction: Interaction, denied: Denied) -> None:
        text = _refusal(denied, str(interaction.id))
        try:
            await interaction.response.send_message(text, ephemeral=True)
        except discord.HTTPException as error:
            self._unheard(error, "refusal")

    async def say(self, interaction: Interaction, text: str) -> None:
        """Send a short text for the caller alone."""
        try:
            if interaction.response.is_done():
                await interaction.followup.send(text, ephemeral=True)
            else:
                await interaction.response.send_message(text, ephemeral=True)
        except discord.HTTPException as error:
            self._unheard(error, "text")

    async def broken(self, interaction: Interaction, error: BaseException | None, path: str) -> None:
        """Tell the user that something of ours broke; must survive everything itself."""
        LOG.error("interaction.broken", command=path, interaction=interaction.id, exc_info=error)
        ref = str(interaction.id)[-6:]
        await self.say(interaction, f"E-BUG: something broke on our side; see the audit line. Ref {ref}")
        await self.note(interaction, path, None, "broken", {})

    @staticmethod
    def _unheard(error: discord.HTTPException, path: str) -> str:
        late = error.code in _LATE
        LOG.warning("answer.unheard", command=path, status=error.status, code=error.code, late=late)
        return "late" if late else f"unheard: {error.status}"

    def _acknowledged(self, path: str, began: float) -> None:
        self._metrics.histogram("discord_ack_seconds").labels(command=path).observe(time.perf_counter() - began)

    # ---- writing down

    async def note(
        self, interaction: Interaction, path: str, caller: Caller | None, outcome: str, given: Mapping[str, str]
    ) -> None:
        """Count an interaction and write it into the audit."""
        self._metrics.counter("discord_commands_total").labels(command=path, outcome=outcome.partition(":")[0]).inc()
        details = {
            "interaction": str(interaction.id),
            "user": safe(interaction.user.name, 80),
            "roles": ",".join(str(role) for role in caller.roles) if caller else "",
            "tier": caller.tier.word if caller else "",
            "guild": str(interaction.guild_id),
            "channel": str(interaction.channel_id),
            "args": " ".join(f"{name}={safe(value)}" for name, value in given.items())[:200],
        }
        message = AuditNote(
            f"discord:{interaction.user.id}",
            "discord_bot",
            path,
            given.get("bot", "farm"),
            outcome[:200],
            dict(details),
        )
        try:
            await self.desk.bus.send(message, corr=str(interaction.id))
        except Denied as error:
            LOG.warning("audit.lost", command=path, outcome=outcome, error=str(error), **details)


def _refusal(error: OmegaError, interaction: str) -> str:
    """Write a refusal; our own texts carry our own emphasis, what they quote is made safe."""
    text = str(error)
    shown = text if isinstance(error, Denied) and text.startswith("E-") else safe(text, 500)
    return f"{shown}\nref {interaction[-6:]}"
