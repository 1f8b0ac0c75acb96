"""The back door for tests in other processes.

`POST /_local/act` lets humans act and faults happen, `GET /_local/state` shows all.
"""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from omega.testing.discord.faults import answer
from omega.testing.discord.interactions import Interaction
from omega.testing.discord.messages import Message
from omega.testing.discord.refusals import ImpossibleActError, Refusal

if TYPE_CHECKING:
    from omega.testing.discord.server import LocalDiscord

Json = dict[str, Any]


def routes(discord: "LocalDiscord") -> list[web.RouteDef]:
    """Return the routes of the back door."""
    door = _Door(discord)
    return [web.post("/_local/act", door.act), web.get("/_local/state", door.state)]


class _Door:
    """Translates JSON into acts and acts into JSON."""

    def __init__(self, discord: "LocalDiscord") -> None:
        self._discord = discord
        self._done: dict[str, Interaction] = {}
        self._acts: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "slash": self._slash,
            "autocomplete": self._autocomplete,
            "click": self._click,
            "modal": self._modal,
            "look": self._look,
            "replay": self._replay,
            "assign": self._assign,
            "advance": self._advance,
            "drop": self._drop,
            "fault": self._fault,
        }

    async def act(self, request: web.Request) -> web.Response:
        """Do one act: a JSON object with `act` and its arguments."""
        try:
            body = json.loads(await request.read())
            return answer(await self._acts[body.pop("act")](body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return answer({"error": f"{type(error).__name__}: {error}", "acts": sorted(self._acts)}, status=400)
        except (ImpossibleActError, Refusal, TimeoutError) as error:
            return answer({"error": str(error)}, status=409)

    async def _slash(self, body: Json) -> Json:
        options, wait = body.get("options") or {}, body.get("wait", True)
        act = self._discord.humans.slash
        return self._show(await act(body["user"], body["channel"], body["path"], options=options, wait=wait))

    async def _autocomplete(self, body: Json) -> Json:
        act, options = self._discord.humans.autocomplete, body.get("options") or {}
        where = (body["user"], body["channel"], body["path"], body["focused"], body["typed"])
        return self._show(await act(*where, options=options))

    async def _click(self, body: Json) -> Json:
        message = self._discord.state.messages.get(body["message"])
        act, wait = self._discord.humans.click, body.get("wait", True)
        return self._show(await act(body["user"], message, body["button"], values=body.get("values"), wait=wait))

    async def _modal(self, body: Json) -> Json:
        asked = self._done[body["interaction"]]
        return self._show(await self._discord.humans.submit_modal(body["user"], asked, body["values"]))

    async def _look(self, body: Json) -> Json:
        return self._show(self._done[body["interaction"]])

    async def _replay(self, body: Json) -> Json:
        await self._discord.humans.replay(self._done[body["interaction"]])
        return {}

    async def _assign(self, body: Json) -> Json:
        self._discord.world.assign(body["member"], *body["roles"])
        return {}

    async def _advance(self, body: Json) -> Json:
        self._discord.state.clock.advance(float(body["seconds"]))
        return {}

    async def _drop(self, body: Json) -> Json:
        await self._discord.gateway.drop(int(body.get("code", 4000)))
        return {}

    async def _fault(self, body: Json) -> Json:
        kind, gateway, faults = body["kind"], self._discord.gateway, self._discord.faults
        if kind == "reconnect":
            await gateway.ask_reconnect()
        elif kind == "invalidate":
            await gateway.invalidate(resumable=bool(body.get("resumable")))
        elif kind == "silence":
            gateway.silence()
        elif kind == "late":
            faults.late_by_s = float(body["seconds"])
        elif kind == "answer":
            headers, times = body.get("headers"), int(body.get("times", 1))
            faults.answer_next(body["match"], int(body["status"]), body.get("body"), headers=headers, times=times)
        elif kind == "clear":
            faults.clear()
        else:
            raise ValueError(f"no fault {kind!r}: reconnect, invalidate, silence, late, answer, clear")
        return {}

    async def state(self, _: web.Request) -> web.Response:
        """Show messages, commands, sessions, calls and unknown routes."""
        state = self._discord.state
        names = {channel.id: channel.name for channel in state.world.channels.values()}
        return answer(
            {
                "connected": len(state.gateway.connected),
                "sessions": [
                    {"id": s.id, "seq": s.seq, "intents": s.intents, "presence": s.presence}
                    for s in state.gateway.connected
                ],
                "identifies": state.gateway.identifies,
                "resumes": state.gateway.resumes,
                "closes": state.log.closes,
                "commands": {str(scope or "global"): found for scope, found in state.commands.scopes.items()},
                "puts": state.commands.puts,
                "messages": [{**_message(m), "channel": names.get(m.channel_id, m.channel_id)} for m in state.messages],
                "calls": [[call.method, call.path, call.status] for call in state.log.calls],
                "unknown_routes": state.log.unknown_routes,
            }
        )

    def _show(self, done: Interaction) -> Json:
        self._done[done.id] = done
        return {
            "interaction": done.id,
            "callback": done.callback,
            "ack_s": done.ack_s,
            "failed": done.failed,
            "deferred": done.deferred,
            "ephemeral": done.ephemeral,
            "text": done.text,
            "message": _message(done.message) if done.message else None,
            "followups": [_message(message) for message in done.followups],
            "choices": done.choices,
            "modal": done.modal,
            "refused": done.refused,
        }


def _message(message: Message) -> Json:
    return {
        **message.payload(),
        "text": message.text,
        "deleted": message.deleted,
        "ephemeral": message.ephemeral,
        "pings": message.pings,
    }
