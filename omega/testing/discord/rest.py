"""REST v10 as one aiohttp application.

Log, canned answers, authorisation and refusals around the routes of the areas.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from omega.testing.discord import payloads, rest_interactions, rest_messages
from omega.testing.discord.bodies import read_any
from omega.testing.discord.faults import answer
from omega.testing.discord.refusals import Refusal, invalid_form, unknown
from omega.testing.discord.state import State

API: Final = "/api/v10"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(state: State, extra: list[web.RouteDef]) -> web.Application:
    """Build the application that serves REST, gateway, files and the given further routes."""
    app = web.Application(middlewares=[_guard(state)], client_max_size=26 * 1024 * 1024)
    app.add_routes([web.get("/gateway", state.gateway.handle), web.get("/gateway/", state.gateway.handle)])
    app.add_routes(extra)
    for area in (_Basics(state), rest_interactions.Interactions(state), rest_messages.Messages(state)):
        for method, path, handler in area.routes():
            app.router.add_route(method, API + path, handler)
    app.router.add_get("/cdn/{path:.*}", _file(state))
    return app


def _guard(state: State) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not request.path.startswith(API):
            return await handler(request)
        path = request.path.removeprefix(API)
        response = state.faults.take(request.method, path) or await _answer(state, request, path, handler)
        state.log.call(request.method, path, response.status)
        return response

    return guard


async def _answer(state: State, request: web.Request, path: str, handler: _Handler) -> web.StreamResponse:
    try:
        _authorise(state, request, path)
        return await handler(request)
    except Refusal as refusal:
        return answer(refusal.body, status=refusal.status)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        state.log.unknown_routes.append(f"{request.method} {path}")
        text = f"THE LOCAL DISCORD DOES NOT SERVE {request.method} {path}: add the route or stop calling it"
        return answer({"code": 0, "message": text}, status=404)


def _authorise(state: State, request: web.Request, path: str) -> None:
    by_token = path.startswith("/interactions/") or (path.startswith("/webhooks/") and path.count("/") > 2)  # noqa: PLR2004 - /webhooks/{id}/{token}
    if not by_token and request.headers.get("Authorization") != f"Bot {state.world.token}":
        raise Refusal(401, 0, "401: Unauthorized")


def _file(state: State) -> _Handler:
    async def file(request: web.Request) -> web.Response:
        data = state.files.get(request.path)
        if data is None:
            raise web.HTTPNotFound
        return web.Response(body=data, content_type="application/octet-stream")

    return file


class _Basics:
    """Who the bot is, how it reaches the gateway, and its commands."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[tuple[str, str, _Handler]]:
        return [
            ("GET", "/users/@me", self.me),
            ("GET", "/oauth2/applications/@me", self.application),
            ("GET", "/gateway", self.gateway),
            ("GET", "/gateway/bot", self.gateway),
            ("DELETE", "/users/@me/guilds/{guild}", self.leave),
            ("GET", "/applications/{app}/commands", self.commands),
            ("PUT", "/applications/{app}/commands", self.put_commands),
            ("GET", "/applications/{app}/guilds/{guild}/commands", self.commands),
            ("PUT", "/applications/{app}/guilds/{guild}/commands", self.put_commands),
        ]

    async def me(self, _: web.Request) -> web.Response:
        return answer(payloads.user(payloads.bot_member(self._state.world)))

    async def application(self, _: web.Request) -> web.Response:
        return answer(payloads.application(self._state.world))

    async def gateway(self, request: web.Request) -> web.Response:
        limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        return answer({"url": f"ws://{request.host}/gateway", "shards": 1, "session_start_limit": limit})

    async def leave(self, request: web.Request) -> web.Response:
        self._state.left_guilds.append(request.match_info["guild"])
        return web.Response(status=204)

    async def commands(self, request: web.Request) -> web.Response:
        return answer(self._state.commands.scopes.get(self._scope(request), []))

    async def put_commands(self, request: web.Request) -> web.Response:
        commands = await read_any(request)
        if not isinstance(commands, list):
            raise invalid_form([("body", "A list of commands is expected.")])
        return answer(self._state.commands.put(self._scope(request), commands))

    def _scope(self, request: web.Request) -> str | None:
        if request.match_info["app"] != self._state.world.application_id:
            raise unknown("Application", 10002)
        guild = request.match_info.get("guild")
        if guild not in {None, self._state.world.guild_id}:
            raise Refusal(403, 50001, "Missing Access")
        return guild
