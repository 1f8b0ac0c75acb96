"""Faults that a test orders from the local Discord: canned answers, late delivery, a withheld guild.

Asked by REST and gateway.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True)
class Canned:
    """An answer that the next calls get instead of the real one.

    Attributes:
        match: the calls it is for: part of the path, with a method before it when given ("POST /channels/").
    """

    match: str
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    times: int


@dataclass(slots=True)
class Faults:
    """What goes wrong, until `clear` is called.

    Attributes:
        late_by_s: the world grows this much older between an act and its delivery to the bot.
        hold_guilds: the guild stays unavailable: READY comes, GUILD_CREATE does not.
    """

    late_by_s: float = 0.0
    hold_guilds: bool = False
    canned: list[Canned] = field(default_factory=list)

    def answer_next(
        self,
        match: str,
        status: int,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """Answer the next calls that match with this status and body."""
        text = body if body is not None else {"code": 0, "message": f"canned {status}"}
        self.canned.append(Canned(match, status, text, headers or {}, times))

    def rate_limit_next(self, match: str, retry_after_s: float, *, via: bool = True, times: int = 1) -> None:
        """Answer the next calls with 429; without `Via` clients take it for a ban by Cloudflare."""
        body = {"message": "You are being rate limited.", "retry_after": retry_after_s, "global": False}
        headers = {"Via": "1.1 google"} if via else {}
        self.answer_next(match, 429, body, headers=headers, times=times)

    def clear(self) -> None:
        """Let everything work again."""
        self.late_by_s = 0.0
        self.hold_guilds = False
        self.canned.clear()

    def take(self, method: str, path: str) -> web.Response | None:
        """Return the canned answer for a call, if one was ordered."""
        for one in self.canned:
            if one.match in f"{method} {path}":
                one.times -= 1
                if one.times <= 0:
                    self.canned.remove(one)
                return answer(one.body, status=one.status, headers=one.headers)
        return None


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Build a JSON answer whose Content-Type is exactly `application/json`: clients read anything else as text."""
    return web.Response(
        body=json.dumps(body).encode(), status=status, headers={**(headers or {}), "Content-Type": "application/json"}
    )
