"""REST for interactions: the first callback, the original answer and the follow-ups. Mounted by `rest`."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from omega.testing.discord import payloads
from omega.testing.discord.bodies import read_message
from omega.testing.discord.faults import answer
from omega.testing.discord.interactions import (
    CHOICES,
    DEFER,
    DEFER_UPDATE,
    REPLY,
    SHOW_MODAL,
    UPDATE,
    Interaction,
)
from omega.testing.discord.limits import EPHEMERAL, check_choices, check_modal
from omega.testing.discord.messages import Message
from omega.testing.discord.refusals import Refusal, unknown
from omega.testing.discord.state import State

Json = dict[str, Any]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Interactions:
    """The routes that a bot answers interactions by."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[tuple[str, str, _Handler]]:
        """Return (method, path, handler) for every route of this area."""
        app = self._state.world.application_id
        hook, one = f"/webhooks/{app}/{{token}}", f"/webhooks/{app}/{{token}}/messages/{{message}}"
        return [
            ("POST", "/interactions/{id}/{token}/callback", self.callback),
            ("POST", hook, self.follow_up),
            ("GET", one, self.show),
            ("PATCH", one, self.edit),
            ("DELETE", one, self.delete),
        ]

    async def callback(self, request: web.Request) -> web.Response:
        """Accept the first callback and do what its type says."""
        body = await read_message(request, self._state)
        kind, data = int(body.get("type", 0)), body.get("data") or {}
        found = self._state.interactions.begin_callback(request.match_info["id"], request.match_info["token"], kind)
        try:
            self._apply(found, kind, data)
        except Refusal as refusal:
            found.refused.append((refusal.status, int(refusal.body["code"])))
            found.touch()
            raise
        self._state.interactions.accepted(found, kind)
        return answer(self._receipt(found, kind))

    def _apply(self, found: Interaction, kind: int, data: Json) -> None:
        messages, bot = self._state.messages, payloads.user(payloads.bot_member(self._state.world))
        if kind == REPLY:
            found.message = messages.create(found.channel_id, bot, data, interaction_user=found.user)
        elif kind == DEFER:
            ephemeral = bool(int(data.get("flags") or 0) & EPHEMERAL)
            found.message = messages.thinking(found.channel_id, bot, ephemeral=ephemeral, user=found.user)
        elif kind == UPDATE:
            found.message = messages.edit(self._source(found), data)
        elif kind == DEFER_UPDATE:
            found.message = self._source(found)
        elif kind == CHOICES:
            found.choices = list(data.get("choices") or [])
            check_choices(found.choices)
        elif kind == SHOW_MODAL:
            check_modal(data)
            found.modal = data

    @staticmethod
    def _source(found: Interaction) -> Message:
        if found.source is None:
            raise Refusal(400, 50035, "There is no message to update.")
        return found.source

    @staticmethod
    def _receipt(found: Interaction, kind: int) -> Json:
        receipt: Json = {"interaction": {"id": found.id, "type": found.kind}}
        if kind in {REPLY, DEFER, UPDATE} and found.message is not None:
            receipt["interaction"].update(
                response_message_id=found.message.id,
                response_message_loading=found.message.loading,
                response_message_ephemeral=found.message.ephemeral,
            )
        if kind in {REPLY, UPDATE} and found.message is not None:
            receipt["resource"] = {"type": kind, "message": found.message.payload()}
        return receipt

    async def follow_up(self, request: web.Request) -> web.Response:
        """Accept a follow-up; the first one after a defer fills the loading message, as Discord (still) does."""
        found = self._state.interactions.living(request.match_info["token"])
        body = await read_message(request, self._state)
        if found.callback == DEFER and found.message is not None and found.message.loading:
            message = self._state.messages.edit(found.message, body)
        else:
            bot = payloads.user(payloads.bot_member(self._state.world))
            message = self._state.messages.create(found.channel_id, bot, body, interaction_user=found.user)
            found.followups.append(message)
        found.touch()
        return answer(message.payload())

    async def show(self, request: web.Request) -> web.Response:
        """Show the original answer or a follow-up."""
        return answer(self._message(request)[1].payload())

    async def edit(self, request: web.Request) -> web.Response:
        """Edit the original answer or a follow-up."""
        body = await read_message(request, self._state)
        found, message = self._message(request)
        self._state.messages.edit(message, body)
        found.touch()
        return answer(message.payload())

    async def delete(self, request: web.Request) -> web.Response:
        """Delete the original answer or a follow-up."""
        found, message = self._message(request)
        self._state.messages.delete(message)
        found.touch()
        return web.Response(status=204)

    def _message(self, request: web.Request) -> tuple[Interaction, Message]:
        found = self._state.interactions.living(request.match_info["token"])
        key = request.match_info["message"]
        if key == "@original":
            if found.message is None or found.message.deleted:
                raise unknown("Message", 10008)
            return found, found.message
        own = [m for m in (found.message, *found.followups) if m is not None and m.id == key and not m.deleted]
        if not own:
            raise unknown("Message", 10008)
        return found, own[0]
