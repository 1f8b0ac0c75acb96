"""Messages of the local Discord: stored, edited under Discord's rules, and shown as JSON.

Used by the REST routes and by humans.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from omega.testing.discord.bell import Bell
from omega.testing.discord.clock import WorldClock
from omega.testing.discord.limits import COMPONENTS_V2, EPHEMERAL, check_message, walk
from omega.testing.discord.refusals import Refusal, unknown

Json = dict[str, Any]
LOADING: Final = 1 << 7
_EDIT_KEYS: Final = ("content", "embeds", "components", "flags", "attachments")
_OLD_S: Final = 3600.0
_NONCE_S: Final = 300.0
_OLD_EDITS: Final = 5
"""Discord caps the edits of messages older than an hour and does not publish the number; a low one shows the habit."""
_MENTION: Final = re.compile(r"@everyone|@here|<@!?\d+>|<@&\d+>")


@dataclass(slots=True)
class Message:
    """One message as it stands now, with the history of how it stood before."""

    id: str
    channel_id: str
    author: Json
    created: float
    fields: Json
    interaction_user: str | None = None
    webhook_id: str | None = None
    nonce: str | int | None = None
    allowed_mentions: Json | None = None
    history: list[Json] = field(default_factory=list)
    deleted: bool = False
    old_edits: int = 0

    @property
    def flags(self) -> int:
        """The message's flags."""
        return int(self.fields.get("flags") or 0)

    @property
    def ephemeral(self) -> bool:
        """Whether only one user sees it."""
        return bool(self.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        """Whether it still says that the application is thinking."""
        return bool(self.flags & LOADING)

    @property
    def components(self) -> list[Json]:
        """Every component on it, nested ones included."""
        return list(walk(self.fields.get("components") or []))

    @property
    def embeds(self) -> list[Json]:
        """Its embeds."""
        return list(self.fields.get("embeds") or [])

    @property
    def text(self) -> str:
        """All that a reader sees: content, embeds, text displays and labels, a line each."""
        lines = [self.fields.get("content") or ""]
        for embed in self.embeds:
            author, footer = embed.get("author") or {}, embed.get("footer") or {}
            lines += [author.get("name") or "", embed.get("title") or "", embed.get("description") or ""]
            lines += [f"{one['name']}: {one['value']}" for one in embed.get("fields") or []]
            lines.append(footer.get("text") or "")
        lines += [part.get("content") or part.get("label") or "" for part in self.components]
        return "\n".join(line for line in lines if line)

    @property
    def pings(self) -> list[str]:
        """The mentions in its content that really notify somebody under its allowed_mentions."""
        found = _MENTION.findall(self.fields.get("content") or "")
        if self.allowed_mentions is None:
            return found
        parse = set(self.allowed_mentions.get("parse") or [])
        return [mention for mention in found if _allowed(mention, parse, self.allowed_mentions)]

    def payload(self) -> Json:
        """Return the message object that Discord would send."""
        shown: Json = {"content": "", "embeds": [], "components": [], "attachments": [], "flags": 0}
        shown.update(self.fields)
        if self.webhook_id:
            shown["webhook_id"] = self.webhook_id
        fixed: Json = {
            "id": self.id,
            "channel_id": self.channel_id,
            "type": 20 if self.interaction_user else 0,
            "author": self.author,
            "timestamp": "2026-01-01T00:00:00+00:00",
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": any(ping in {"@everyone", "@here"} for ping in self.pings),
            "mentions": [],
            "mention_roles": [],
            "pinned": False,
        }
        return shown | fixed


class MessageStore:
    """Every message by id, deleted ones included, so that tests can look back."""

    def __init__(self, clock: WorldClock, bell: Bell) -> None:
        self._clock = clock
        self._bell = bell
        self._messages: dict[str, Message] = {}

    def __iter__(self) -> Iterator[Message]:
        """Iterate over all messages, oldest first."""
        return iter(list(self._messages.values()))

    def create(self, channel_id: str, author: Json, body: Json, **extra: Any) -> Message:
        """Check a body against the limits and store it as a new message."""
        fields = {key: body[key] for key in _EDIT_KEYS if body.get(key) is not None}
        check_message(fields)
        return self._keep(channel_id, author, fields, body, **extra)

    def thinking(self, channel_id: str, author: Json, *, ephemeral: bool, user: str) -> Message:
        """Store the loading message that a deferred answer shows."""
        fields = {"flags": LOADING | (EPHEMERAL if ephemeral else 0)}
        return self._keep(channel_id, author, fields, {}, interaction_user=user)

    def _keep(self, channel_id: str, author: Json, fields: Json, body: Json, **extra: Any) -> Message:
        message = Message(
            id=self._clock.snowflake(),
            channel_id=channel_id,
            author=author,
            created=self._clock.now(),
            fields=fields,
            allowed_mentions=body.get("allowed_mentions"),
            **extra,
        )
        self._messages[message.id] = message
        self._bell.ring()
        return message

    def get(self, message_id: str) -> Message:
        """Return a message that still exists, or refuse with 10008."""
        message = self._messages.get(message_id)
        if message is None or message.deleted:
            raise unknown("Message", 10008)
        return message

    def by_nonce(self, channel_id: str, nonce: str | int) -> Message | None:
        """Return the message of the last minutes that carried a nonce: an enforced one makes no second message."""
        for message in self._messages.values():
            young = self._clock.now() - message.created < _NONCE_S
            if young and message.channel_id == channel_id and message.nonce == nonce:
                return message
        return None

    def edit(self, message: Message, body: Json) -> Message:
        """Change the given fields under Discord's rules; the first edit of a loading message fills it."""
        self._count_old_edit(message)
        kept = message.flags & EPHEMERAL
        fields: Json = message.fields | {key: body[key] for key in _EDIT_KEYS if key in body}
        fields["flags"] = (
            (int(fields.get("flags") or 0) & ~LOADING & ~EPHEMERAL) | kept | (message.flags & COMPONENTS_V2)
        )
        check_message({key: value for key, value in fields.items() if value is not None})
        message.history.append(message.fields)
        message.fields = fields
        if "allowed_mentions" in body:
            message.allowed_mentions = body["allowed_mentions"]
        self._bell.ring()
        return message

    def _count_old_edit(self, message: Message) -> None:
        if self._clock.now() - message.created < _OLD_S:
            return
        message.old_edits += 1
        if message.old_edits > _OLD_EDITS:
            raise Refusal(429, 30046, "Maximum number of edits to messages older than 1 hour reached")

    def delete(self, message: Message) -> None:
        """Take a message away from everybody's eyes."""
        message.deleted = True
        self._bell.ring()


def _allowed(mention: str, parse: set[str], allowed: Json) -> bool:
    if mention in {"@everyone", "@here"}:
        return "everyone" in parse
    kind = "roles" if mention.startswith("<@&") else "users"
    return kind in parse or mention.strip("<@!&>") in {str(one) for one in allowed.get(kind) or []}
