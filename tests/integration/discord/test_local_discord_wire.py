"""The local Discord on the bare wire: what discord.py never does on purpose, and the routes beside commands."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omega.testing.discord import ImpossibleActError, Interaction, LocalDiscord, World
from omega.testing.discord.limits import EPHEMERAL

pytestmark = pytest.mark.req("2.125")


class Wire:
    """REST and gateway by hand."""

    def __init__(self, local: LocalDiscord, http: aiohttp.ClientSession) -> None:
        self.local = local
        self.http = http

    async def rest(self, method: str, path: str, body: Any = None, *, token: bool = True) -> tuple[int, Any]:
        headers = {"Authorization": f"Bot {self.local.world.token}"} if token else {}
        url = self.local.environment["DISCORD_API_BASE"] + path
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def connect(self, query: str = "") -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(self.local.environment["DISCORD_GATEWAY_URL"] + query)

    async def identified(self, intents: int = 1) -> aiohttp.ClientWebSocketResponse:
        socket = await self.connect()
        assert (await socket.receive_json())["op"] == 10
        await socket.send_json({"op": 2, "d": {"token": self.local.world.token, "intents": intents}})
        assert (await socket.receive_json())["t"] == "READY"
        return socket


@pytest.fixture(name="wire")
async def wire_fixture() -> AsyncIterator[Wire]:
    async with LocalDiscord(World.default()) as local, aiohttp.ClientSession() as http:
        yield Wire(local, http)


async def test_commands_before_identify_and_a_second_identify_are_closed(wire: Wire):
    early = await wire.connect()
    await early.receive_json()
    await early.send_json({"op": 8})
    assert (await early.receive()).data == 4003

    twice = await wire.identified(0)
    await twice.send_json({"op": 2, "d": {"token": wire.local.world.token, "intents": 0}})
    assert (await twice.receive()).data == 4005


async def test_wrong_token_is_closed_with_4004(wire: Wire):
    socket = await wire.connect()
    await socket.receive_json()
    await socket.send_json({"op": 2, "d": {"token": "x", "intents": 0}})
    assert (await socket.receive()).data == 4004


async def test_zlib_stream_is_one_context_of_flushed_messages(wire: Wire):
    socket = await wire.connect("?v=10&encoding=json&compress=zlib-stream")
    inflate = zlib.decompressobj()
    frame = await socket.receive_bytes()
    await socket.send_json({"op": 1, "d": None})
    second = await socket.receive_bytes()

    assert frame.endswith(b"\x00\x00\xff\xff")
    assert [json.loads(inflate.decompress(data))["op"] for data in (frame, second)] == [10, 11]
    await socket.close()


async def test_silent_socket_answers_no_heartbeat_and_unknown_session_is_invalid(wire: Wire):
    socket = await wire.identified(0)
    wire.local.gateway.silence()
    await socket.send_json({"op": 1, "d": 1})
    with pytest.raises(TimeoutError):
        await socket.receive(timeout=0.1)
    await socket.close()

    stranger = await wire.connect()
    await stranger.receive_json()
    await stranger.send_json({"op": 6, "d": {"token": wire.local.world.token, "session_id": "gone", "seq": 3}})
    assert await stranger.receive_json() == {"op": 9, "d": False}
    await stranger.close()


async def act(wire: Wire, **callback: Any) -> Interaction:
    """Let a human send /go, and answer it by hand."""
    if not wire.local.state.commands.scopes:
        wire.local.state.commands.put(wire.local.world.guild_id, [{"name": "go", "description": "d", "type": 1}])
    asked = await wire.local.humans.slash("viewer", "ops", "go", wait=False)
    if callback:
        status, _ = await answer(wire, asked, **callback)
        assert status == 200
    return asked


async def answer(wire: Wire, asked: Interaction, **callback: Any) -> tuple[int, Any]:
    return await wire.rest("POST", f"/interactions/{asked.id}/{asked.token}/callback", callback, token=False)


async def test_first_follow_up_fills_the_loading_message_and_keeps_it_ephemeral(wire: Wire):
    asked = await act(wire, type=5, data={"flags": EPHEMERAL})
    hook = f"/webhooks/{wire.local.world.application_id}/{asked.token}"
    assert asked.message is not None
    assert asked.message.loading

    _, first = await wire.rest("POST", hook, {"content": "one"}, token=False)
    _, second = await wire.rest("POST", hook, {"content": "two"}, token=False)
    _, shown = await wire.rest("GET", f"{hook}/messages/@original", token=False)
    await wire.rest("PATCH", f"{hook}/messages/{second['id']}", {"content": "2"}, token=False)

    assert (first["id"], shown["content"]) == (asked.message.id, "one")
    assert asked.ephemeral
    assert asked.text == "one\n2"
    assert (await wire.rest("DELETE", f"{hook}/messages/{second['id']}", token=False))[0] == 204
    assert (await wire.rest("DELETE", f"{hook}/messages/@original", token=False))[0] == 204
    assert (await wire.rest("GET", f"{hook}/messages/@original", token=False))[1]["code"] == 10008
    assert (await wire.rest("GET", f"{hook}/messages/{second['id']}", token=False))[1]["code"] == 10008
    assert asked.text == ""


@pytest.mark.parametrize("kind", [1, 6, 7, 8, 99])
async def test_callback_type_that_does_not_fit_a_command_is_refused(wire: Wire, kind: int):
    asked = await act(wire)
    assert (await answer(wire, asked, type=kind, data={}))[1]["code"] == 50035


async def test_unknown_interaction_and_unacknowledged_webhook_are_refused(wire: Wire):
    asked = await act(wire)
    hook = f"/webhooks/{wire.local.world.application_id}/{asked.token}"

    assert (await wire.rest("POST", f"/interactions/{asked.id}/wrong/callback", {"type": 4}, token=False))[1][
        "code"
    ] == 10062
    assert (await wire.rest("POST", hook, {"content": "x"}, token=False))[1]["code"] == 10015
    with pytest.raises(TimeoutError, match="shown is"):
        await asked.until(lambda one: one.answered, 0.01)


async def test_enforced_nonce_makes_no_second_message(wire: Wire):
    channel = wire.local.world.channel("fills").id
    body = {"content": "once", "nonce": "n1", "enforce_nonce": True}
    _, first = await wire.rest("POST", f"/channels/{channel}/messages", body)
    _, second = await wire.rest("POST", f"/channels/{channel}/messages", body)
    _, other = await wire.rest("POST", f"/channels/{channel}/messages", {**body, "nonce": "n2"})

    assert first["id"] == second["id"] != other["id"]
    assert len(wire.local.posts("fills")) == 2


async def test_channel_routes_show_edit_delete_and_refuse(wire: Wire):
    channel = f"/channels/{wire.local.world.channel('ops').id}"
    _, made = await wire.rest("POST", f"{channel}/messages", {"content": "a"})
    one = f"{channel}/messages/{made['id']}"
    ephemeral = await act(wire, type=4, data={"content": "psst", "flags": EPHEMERAL})
    assert ephemeral.message is not None

    assert (await wire.rest("GET", channel))[1]["name"] == "ops"
    assert (await wire.rest("POST", f"{channel}/typing"))[0] == 204
    assert (await wire.rest("GET", one))[1]["content"] == "a"
    assert (await wire.rest("GET", f"{channel}/messages/{ephemeral.message.id}"))[1]["code"] == 10008
    assert (await wire.rest("PATCH", one, {"content": ""}))[0] == 400
    assert (await wire.rest("DELETE", one))[0] == 204
    assert (await wire.rest("GET", one))[1]["code"] == 10008
    assert (await wire.rest("GET", "/channels/1"))[1]["code"] == 10003
    assert (await wire.rest("GET", channel, token=False))[0] == 401


async def test_direct_messages_are_one_channel_and_may_be_closed(wire: Wire):
    world = wire.local.world
    world.members["shy"] = type(world.member("viewer"))("300000000000000042", "shy", dms_closed=True)
    _, dm = await wire.rest("POST", "/users/@me/channels", {"recipient_id": world.member("viewer").id})
    _, again = await wire.rest("POST", "/users/@me/channels", {"recipient_id": world.member("viewer").id})
    _, shy = await wire.rest("POST", "/users/@me/channels", {"recipient_id": "300000000000000042"})

    assert dm["id"] == again["id"]
    assert (await wire.rest("GET", f"/channels/{dm['id']}"))[1]["type"] == 1
    assert (await wire.rest("POST", f"/channels/{dm['id']}/messages", {"content": "hi"}))[0] == 200
    assert (await wire.rest("POST", f"/channels/{shy['id']}/messages", {"content": "hi"}))[1]["code"] == 50007
    assert (await wire.rest("POST", "/users/@me/channels", {"recipient_id": "1"}))[1]["code"] == 10013


async def test_webhooks_post_edit_delete_and_are_limited(wire: Wire):
    channel = f"/channels/{wire.local.world.channel('ops').id}"
    hooks = [(await wire.rest("POST", f"{channel}/webhooks", {"name": f"voice {n}"})) for n in range(16)]
    hook = hooks[0][1]
    path = f"/webhooks/{hook['id']}/{hook['token']}"
    _, made = await wire.rest("POST", f"{path}?wait=true", {"content": "a", "username": "Biel"}, token=False)
    other = f"/webhooks/{hooks[1][1]['id']}/{hooks[1][1]['token']}"

    assert hooks[15][1]["code"] == 30007
    assert len((await wire.rest("GET", f"{channel}/webhooks"))[1]) == 15
    assert made["author"]["username"] == "Biel"
    assert (await wire.rest("POST", path, {"content": "b"}, token=False))[0] == 204
    assert (await wire.rest("PATCH", f"{path}/messages/{made['id']}", {"content": "c"}, token=False))[1][
        "content"
    ] == "c"
    assert (await wire.rest("PATCH", f"{other}/messages/{made['id']}", {"content": "c"}, token=False))[1][
        "code"
    ] == 10008
    assert (await wire.rest("DELETE", f"{path}/messages/{made['id']}", token=False))[0] == 204
    assert (await wire.rest("DELETE", f"/webhooks/{hook['id']}"))[0] == 204
    assert (await wire.rest("POST", path, {"content": "b"}, token=False))[1]["code"] == 10015
    assert (await wire.rest("DELETE", f"/webhooks/{hook['id']}"))[1]["code"] == 10015


async def test_application_routes_know_their_own(wire: Wire):
    app = wire.local.world.application_id
    await act(wire)

    assert (await wire.rest("GET", "/gateway/bot"))[1]["shards"] == 1
    assert (await wire.rest("GET", f"/applications/{app}/guilds/{wire.local.world.guild_id}/commands"))[1][0][
        "name"
    ] == "go"
    assert (await wire.rest("GET", f"/applications/{app}/guilds/1/commands"))[1]["code"] == 50001
    assert (await wire.rest("GET", "/applications/1/commands"))[1]["code"] == 10002
    assert (await wire.rest("PUT", f"/applications/{app}/commands", {}))[0] == 400
    async with wire.http.get(f"{wire.local.url}/cdn/attachments/1/x.png") as missing:
        assert missing.status == 404


async def test_humans_see_only_what_a_client_shows(wire: Wire):
    local, guild = wire.local, wire.local.world.guild_id
    hidden = {"name": "hidden", "description": "d", "type": 1, "default_member_permissions": "0"}
    picks = [{"name": n, "description": "d", "type": t} for n, t in (("user", 6), ("place", 7), ("role", 8))]
    choice = {"name": "c", "description": "d", "type": 3, "choices": [{"name": "Red", "value": "r"}]}
    menus = [{"name": "Explain", "type": 3}, {"name": "Show access", "type": 2}]
    local.state.commands.put(
        guild, [hidden, {"name": "go", "description": "d", "type": 1, "options": [*picks, choice]}, *menus]
    )

    with pytest.raises(ImpossibleActError, match="does not see"):
        await local.humans.slash("viewer", "ops", "hidden", wait=False)
    with pytest.raises(ImpossibleActError, match="choices"):
        await local.humans.slash("viewer", "ops", "go", options={"c": "blue"}, wait=False)
    with pytest.raises(ImpossibleActError, match="no autocomplete"):
        await local.autocomplete("viewer", "ops", "go", "c", "r")
    asked = await local.humans.slash(
        "viewer", "ops", "go", options={"user": "admin", "place": "fills", "role": "admin", "c": "Red"}, wait=False
    )
    data = asked.payload["data"]

    assert set(data["resolved"]) == {"users", "members", "channels", "roles"}
    assert data["options"][3]["value"] == "r"

    shown = await act(wire, type=4, data={"content": "psst", "flags": EPHEMERAL})
    assert shown.message is not None
    with pytest.raises(ImpossibleActError, match="does not see this message"):
        await local.click("admin", shown.message, "x")
    with pytest.raises(ImpossibleActError, match="nothing called"):
        await local.click("viewer", shown.message, "x")
    with pytest.raises(ImpossibleActError, match="no dialog"):
        await local.submit_modal("viewer", shown, {})


async def test_context_menus_carry_their_target(wire: Wire):
    local = wire.local
    local.state.commands.put(local.world.guild_id, [{"name": "Explain", "type": 3}, {"name": "Show access", "type": 2}])
    socket = await wire.identified()
    await socket.receive_json()  # GUILD_CREATE
    _, made = await wire.rest("POST", f"/channels/{local.world.channel('ops').id}/messages", {"content": "a"})
    message = local.state.messages.get(made["id"])

    async def menu(name: str, target: Any) -> dict[str, Any]:
        task = asyncio.create_task(local.humans.menu("viewer", "ops", name, target))
        frame: dict[str, Any] = await socket.receive_json()
        event = frame["d"]
        await wire.rest(
            "POST",
            f"/interactions/{event['id']}/{event['token']}/callback",
            {"type": 4, "data": {"content": "k"}},
            token=False,
        )
        assert (await task).text == "k"
        data: dict[str, Any] = event["data"]
        return data

    assert (await menu("Explain", message))["resolved"]["messages"][message.id]["content"] == "a"
    assert (await menu("Show access", "admin"))["target_id"] == local.world.member("admin").id
    await socket.close()


async def test_transcript_is_written_when_a_test_fails(tmp_path: Path):
    path = tmp_path / "transcript.jsonl"

    async def fail() -> None:
        async with LocalDiscord(transcript=path) as local, aiohttp.ClientSession() as http:
            await Wire(local, http).rest("GET", "/users/@me")
            raise ValueError("a failing test")

    with pytest.raises(ValueError, match="a failing test"):
        await fail()
    assert json.loads(path.read_text())["call"] == "GET /users/@me"
