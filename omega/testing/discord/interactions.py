"""The life of an interaction: 3 seconds to the first callback, one callback, 15 minutes of follow-ups.

Called by REST and humans.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from omega.testing.discord.bell import Bell
from omega.testing.discord.clock import WorldClock
from omega.testing.discord.messages import Message
from omega.testing.discord.refusals import Refusal, unknown

Json = dict[str, Any]
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, SHOW_MODAL = 4, 5, 6, 7, 8, 9
_ALLOWED: Final = {
    COMMAND: {REPLY, DEFER, SHOW_MODAL},
    AUTOCOMPLETE: {CHOICES},
    COMPONENT: {REPLY, DEFER, DEFER_UPDATE, UPDATE, SHOW_MODAL},
    MODAL: {REPLY, DEFER, DEFER_UPDATE, UPDATE},
}
FIRST_CALLBACK_S: Final = 3.0
TOKEN_LIFE_S: Final = 15 * 60.0


@dataclass(slots=True, eq=False)
class Interaction:
    """One act of a human and all that the bot did about it; it goes on changing while the bot edits and follows up.

    Attributes:
        kind: Discord's interaction type (2 command, 3 component, 4 autocomplete, 5 modal).
        callback: type of the first callback, None before it.
        ack_s: seconds from the act to the first callback.
        message: the first message of the answer, or the message that a component sits on after an update.
        refused: what this Discord refused, as (status, code).
    """

    id: str
    token: str
    kind: int
    user: str
    channel_id: str
    created: float
    payload: Json
    source: Message | None = None
    callback: int | None = None
    ack_s: float | None = None
    message: Message | None = None
    followups: list[Message] = field(default_factory=list)
    choices: list[Json] | None = None
    modal: Json | None = None
    refused: list[tuple[int, int]] = field(default_factory=list)
    _bell: Bell = field(default_factory=Bell)

    @property
    def failed(self) -> bool:
        """Whether the user read "the application did not respond"."""
        return self.callback is None

    @property
    def deferred(self) -> bool:
        """Whether the bot acknowledged first and answered later."""
        return self.callback in {DEFER, DEFER_UPDATE}

    @property
    def ephemeral(self) -> bool:
        """Whether the answer is seen by its user alone."""
        return self.message is not None and self.message.ephemeral

    @property
    def text(self) -> str:
        """All that the user reads: the message and every follow-up."""
        messages = [self.message] if self.message else []
        return "\n".join(m.text for m in (*messages, *self.followups) if not m.deleted)

    @property
    def answered(self) -> bool:
        """Whether the user sees something final: no loading message is left waiting."""
        if self.callback is None:
            return False
        waiting = self.message is not None and self.message.loading and not self.message.deleted
        return not waiting or bool(self.followups)

    def touch(self) -> None:
        """Tell whoever waits that something has changed."""
        self._bell.ring()

    async def until(self, condition: "Callable[[Interaction], bool]", within_s: float = 60.0) -> "Interaction":
        """Wait until a condition holds on this interaction.

        Raises:
            TimeoutError: it did not hold in time; the text at that moment is in the message.
        """
        try:
            await self._bell.until(lambda: condition(self), within_s)
        except TimeoutError:
            raise TimeoutError(f"the answer did not come within {within_s} s; shown is: {self.text!r}") from None
        return self


class InteractionBook:
    """All interactions by id and by token."""

    def __init__(self, clock: WorldClock) -> None:
        self._clock = clock
        self._by_id: dict[str, Interaction] = {}
        self._by_token: dict[str, Interaction] = {}

    def open(self, kind: int, user: str, channel_id: str, payload: Json, source: Message | None) -> Interaction:
        """Begin an interaction of now; id and token are written into its payload."""
        number = self._clock.snowflake()
        token = f"interaction-{number}"
        payload.update(id=number, token=token)
        made = Interaction(number, token, kind, user, channel_id, self._clock.now(), payload, source)
        self._by_id[number] = self._by_token[token] = made
        return made

    def by_token(self, token: str) -> Interaction | None:
        """Return the interaction of a token, None when the token belongs to none."""
        return self._by_token.get(token)

    def begin_callback(self, number: str, token: str, kind: int) -> Interaction:
        """Accept the first callback of an interaction, or refuse as Discord does (10062, 40060, 50035)."""
        found = self._by_id.get(number)
        if found is None or found.token != token:
            raise unknown("interaction", 10062)
        if found.callback is not None:
            raise self._refuse(found, Refusal(400, 40060, "Interaction has already been acknowledged."))
        if self._clock.now() - found.created > FIRST_CALLBACK_S:
            raise self._refuse(found, unknown("interaction", 10062))
        if kind not in _ALLOWED[found.kind]:
            text = f"Callback type {kind} does not answer an interaction of type {found.kind}"
            raise self._refuse(found, Refusal(400, 50035, text))
        return found

    def accepted(self, found: Interaction, kind: int) -> None:
        """Note that the first callback went through."""
        found.callback = kind
        found.ack_s = self._clock.now() - found.created
        found.touch()

    def living(self, token: str) -> Interaction:
        """Return the interaction whose token may still be used, or refuse (10015, 50027)."""
        found = self._by_token.get(token)
        if found is None or found.callback is None:
            raise unknown("Webhook", 10015)
        if self._clock.now() - found.created > TOKEN_LIFE_S:
            raise self._refuse(found, Refusal(401, 50027, "Invalid Webhook Token"))
        return found

    @staticmethod
    def _refuse(found: Interaction, refusal: Refusal) -> Refusal:
        found.refused.append((refusal.status, int(refusal.body["code"])))
        found.touch()
        return refusal
