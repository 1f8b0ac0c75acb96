"""REST for channels: messages, typing, direct messages and webhooks. Mounted by `rest`."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from omega.testing.discord import payloads
from omega.testing.discord.bodies import read_any, read_message
from omega.testing.discord.faults import answer
from omega.testing.discord.gateway import MESSAGES
from omega.testing.discord.messages import Message
from omega.testing.discord.refusals import Refusal, invalid_form, unknown
from omega.testing.discord.state import State, Webhook

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_WEBHOOKS_A_CHANNEL: Final = 15
_DM: Final = 1


class Messages:
    """The routes that a bot posts by."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[tuple[str, str, _Handler]]:
        """Return (method, path, handler) for every route of this area."""
        one = "/channels/{channel}/messages/{message}"
        hook = "/webhooks/{webhook}/{token}"
        return [
            ("GET", "/channels/{channel}", self.channel),
            ("POST", "/channels/{channel}/messages", self.post),
            ("GET", one, self.show),
            ("PATCH", one, self.edit),
            ("DELETE", one, self.delete),
            ("POST", "/channels/{channel}/typing", self.typing),
            ("POST", "/users/@me/channels", self.open_dm),
            ("GET", "/channels/{channel}/webhooks", self.webhooks),
            ("POST", "/channels/{channel}/webhooks", self.create_webhook),
            ("DELETE", "/webhooks/{webhook}", self.delete_webhook),
            ("POST", hook, self.execute),
            ("PATCH", f"{hook}/messages/{{message}}", self.edit_executed),
            ("DELETE", f"{hook}/messages/{{message}}", self.delete_executed),
        ]

    async def channel(self, request: web.Request) -> web.Response:
        """Show a channel."""
        number = self._channel(request)
        if number in self._state.dms:
            return answer(self._dm(number))
        return answer(payloads.channel(self._state.world, number))

    async def post(self, request: web.Request) -> web.Response:
        """Post a message as the bot."""
        number = self._channel(request)
        if number in self._state.dms and self._state.world.member(self._state.dms[number]).dms_closed:
            raise Refusal(403, 50007, "Cannot send messages to this user")
        body = await read_message(request, self._state)
        known = self._state.messages.by_nonce(number, body["nonce"]) if body.get("enforce_nonce") else None
        if known is not None:
            return answer(known.payload())
        bot = payloads.user(payloads.bot_member(self._state.world))
        message = self._state.messages.create(number, bot, body, nonce=body.get("nonce"))
        await self._announce(message)
        return answer(message.payload())

    async def _announce(self, message: Message) -> None:
        body = {**message.payload(), "guild_id": self._state.world.guild_id}
        await self._state.gateway.dispatch("MESSAGE_CREATE", body, intent=MESSAGES)

    async def show(self, request: web.Request) -> web.Response:
        """Show a message that is not ephemeral."""
        return answer(self._message(request).payload())

    async def edit(self, request: web.Request) -> web.Response:
        """Edit a message of the bot."""
        message = self._message(request)
        self._state.messages.edit(message, await read_message(request, self._state))
        return answer(message.payload())

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a message."""
        self._state.messages.delete(self._message(request))
        return web.Response(status=204)

    async def typing(self, request: web.Request) -> web.Response:
        """Accept a typing sign."""
        self._channel(request)
        return web.Response(status=204)

    async def open_dm(self, request: web.Request) -> web.Response:
        """Open the direct channel with a member; the same one every time."""
        user = str((await read_any(request)).get("recipient_id"))
        for number, member in self._state.dms.items():
            if member == user:
                return answer(self._dm(number))
        try:
            self._state.world.member(user)
        except KeyError:
            raise unknown("User", 10013) from None
        number = self._state.clock.snowflake()
        self._state.dms[number] = user
        return answer(self._dm(number))

    def _dm(self, number: str) -> dict[str, Any]:
        member = self._state.world.member(self._state.dms[number])
        return {"id": number, "type": _DM, "recipients": [payloads.user(member)], "last_message_id": None}

    async def webhooks(self, request: web.Request) -> web.Response:
        """List a channel's webhooks."""
        number = self._channel(request)
        return answer([hook.payload() for hook in self._state.webhooks.values() if hook.channel_id == number])

    async def create_webhook(self, request: web.Request) -> web.Response:
        """Create a webhook under Discord's rules for names and numbers."""
        number = self._channel(request)
        name = str((await read_any(request)).get("name", ""))
        if any(word in name.lower() for word in ("discord", "clyde")) or not name:
            raise invalid_form([("name", "Username cannot be empty or contain 'discord' or 'clyde'.")])
        if sum(hook.channel_id == number for hook in self._state.webhooks.values()) >= _WEBHOOKS_A_CHANNEL:
            raise Refusal(400, 30007, "Maximum number of webhooks reached (15)")
        own = self._state.clock.snowflake()
        hook = Webhook(own, f"webhook-{own}", number, name, self._state.world.application_id)
        self._state.webhooks[own] = hook
        return answer(hook.payload())

    async def delete_webhook(self, request: web.Request) -> web.Response:
        """Delete a webhook."""
        if self._state.webhooks.pop(request.match_info["webhook"], None) is None:
            raise unknown("Webhook", 10015)
        return web.Response(status=204)

    async def execute(self, request: web.Request) -> web.Response:
        """Post a message through a webhook."""
        hook = self._webhook(request)
        body = await read_message(request, self._state)
        author = {"id": hook.id, "username": body.get("username") or hook.name, "discriminator": "0000", "avatar": None}
        message = self._state.messages.create(hook.channel_id, author, body, webhook_id=hook.id)
        await self._announce(message)
        return (
            answer(message.payload())
            if request.query.get("wait", "").lower() in {"1", "true"}
            else web.Response(status=204)
        )

    async def edit_executed(self, request: web.Request) -> web.Response:
        """Edit a message that a webhook posted."""
        message = self._executed(request)
        self._state.messages.edit(message, await read_message(request, self._state))
        return answer(message.payload())

    async def delete_executed(self, request: web.Request) -> web.Response:
        """Delete a message that a webhook posted."""
        self._state.messages.delete(self._executed(request))
        return web.Response(status=204)

    def _webhook(self, request: web.Request) -> Webhook:
        hook = self._state.webhooks.get(request.match_info["webhook"])
        if hook is None or hook.token != request.match_info["token"]:
            raise unknown("Webhook", 10015)
        return hook

    def _executed(self, request: web.Request) -> Message:
        hook = self._webhook(request)
        message = self._state.messages.get(request.match_info["message"])
        if message.webhook_id != hook.id:
            raise unknown("Message", 10008)
        return message

    def _channel(self, request: web.Request) -> str:
        return self._state.channel_id(request.match_info["channel"])

    def _message(self, request: web.Request) -> Message:
        number = self._channel(request)
        message = self._state.messages.get(request.match_info["message"])
        if message.ephemeral or message.channel_id != number:
            raise unknown("Message", 10008)
        return message
