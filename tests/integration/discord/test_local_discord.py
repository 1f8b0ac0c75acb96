"""The local Discord against an unmodified discord.py client on a real socket."""

import asyncio
import io
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import discord
import pytest
from discord import app_commands

from omega.testing.discord import ImpossibleActError, LocalDiscord, World
from omega.testing.discord.interactions import FIRST_CALLBACK_S

Connect = Callable[[Callable[[Any], None]], AbstractAsyncContextManager[Any]]
pytestmark = pytest.mark.req("2.125", "4.41", "0.55")


def ping(client: Any) -> None:
    @client.tree.command(name="ping", description="Answer at once", guild=client.guild_of_farm)
    async def ping_(interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"pong {interaction.user.name}", ephemeral=True)


def several(client: Any) -> None:
    """A slow command, a group with options and autocomplete, buttons, a select and a dialog."""
    tree, guild = client.tree, client.guild_of_farm

    @tree.command(name="slow", description="Defer, then answer", guild=guild)
    async def slow(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await asyncio.sleep(0.05)
        await interaction.edit_original_response(content="done")
        await interaction.followup.send("and more", embed=discord.Embed(title="card"))

    group = app_commands.Group(name="bots", description="Bots")

    @group.command(name="list", description="List")
    async def list_(interaction: discord.Interaction, bot: str, rows: app_commands.Range[int, 1, 5] = 1) -> None:
        await interaction.response.send_message(f"{bot} {rows} {[r.name for r in interaction.user.roles]}")

    @list_.autocomplete("bot")
    async def names(_: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{current}-btc", value="fib-btc")]

    tree.add_command(group, guild=guild)

    class Form(discord.ui.Modal, title="Why"):
        reason = discord.ui.TextInput(label="Reason", min_length=3)

        async def on_submit(self, interaction: discord.Interaction) -> None:
            await interaction.response.send_message(f"because {self.reason.value}")

    class Panel(discord.ui.View):
        @discord.ui.button(label="Next")
        async def next_(self, interaction: discord.Interaction, _: discord.ui.Button) -> None:
            await interaction.response.edit_message(content="page 2")

        @discord.ui.button(label="Ask")
        async def ask(self, interaction: discord.Interaction, _: discord.ui.Button) -> None:
            await interaction.response.send_modal(Form())

        @discord.ui.button(label="Off", disabled=True)
        async def off(self, interaction: discord.Interaction, _: discord.ui.Button) -> None: ...

        @discord.ui.select(placeholder="pick", options=[discord.SelectOption(label="A", value="a")])
        async def pick(self, interaction: discord.Interaction, select: discord.ui.Select) -> None:
            await interaction.response.send_message(f"picked {select.values[0]}")

    @tree.command(name="panel", description="Buttons", guild=guild)
    async def panel(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("page 1", view=Panel(timeout=30))


def raw(client: Any) -> None:
    """Commands that misbehave."""
    tree, guild = client.tree, client.guild_of_farm

    @tree.command(name="long", description="Break a limit", guild=guild)
    async def long(interaction: discord.Interaction) -> None:
        try:
            await interaction.response.send_message(embed=discord.Embed(description="x" * 4097))
        except discord.HTTPException as error:
            await interaction.response.send_message(f"refused {error.code}")

    @tree.command(name="twice", description="Answer twice", guild=guild)
    async def twice(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("once")
        interaction.response._response_type = None
        try:
            await interaction.response.send_message("again")
        except discord.HTTPException as error:
            await interaction.edit_original_response(content=f"refused {error.code}")

    @tree.command(name="chart", description="Send a file", guild=guild)
    async def chart(interaction: discord.Interaction) -> None:
        embed = discord.Embed(title="chart").set_image(url="attachment://c.png")
        await interaction.response.send_message(embed=embed, file=discord.File(io.BytesIO(b"PNG"), "c.png"))


async def test_client_starts_with_a_plain_setup_and_closes_with_1000(local: LocalDiscord, connect: Connect):
    async with connect(ping) as client:
        assert client.get_guild(int(local.world.guild_id)).name == "Omega Farm"
        assert [c.name for c in client.get_guild(int(local.world.guild_id)).text_channels][:2] == ["ops", "fills"]
        assert local.log.ops(sent=False)[:2] == [1, 2]  # heartbeat at once, then IDENTIFY

    await local.gateway.wait_connected(0)
    assert local.log.closes == [1000]
    assert local.gateway.sessions == {}


async def test_slash_answered_at_once_is_seen_by_its_user_alone(local: LocalDiscord, connect: Connect):
    async with connect(ping):
        reply = await local.slash("viewer", "ops", "ping")

        assert (reply.text, reply.callback, reply.ephemeral, reply.deferred) == ("pong viewer", 4, True, False)
        assert reply.ack_s < FIRST_CALLBACK_S
        assert local.posts("ops") == []


async def test_deferred_answer_is_waited_for_with_its_follow_ups(local: LocalDiscord, connect: Connect):
    async with connect(several):
        reply = await local.slash("viewer", "ops", "slow")
        await reply.until(lambda r: r.followups)

        assert reply.deferred
        assert reply.message.text == "done"
        assert reply.followups[0].embeds[0]["title"] == "card"


async def test_options_and_autocomplete_reach_the_command_with_roles(local: LocalDiscord, connect: Connect):
    async with connect(several):
        offered = await local.autocomplete("viewer", "ops", "bots list", "bot", "fib")
        reply = await local.slash("viewer", "ops", "bots list", bot="fib-btc", rows=3)

        assert offered.choices == [{"name": "fib-btc", "value": "fib-btc"}]
        assert reply.text == "fib-btc 3 ['@everyone', 'viewer']"


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("bots list", {}),
        ("bots list", {"bot": "a", "rows": 9}),
        ("bots list", {"bot": "a", "colour": "red"}),
        ("bots", {}),
        ("no", {}),
    ],
    ids=["required", "range", "unknown-option", "group", "unknown-command"],
)
async def test_human_refuses_what_a_client_would_not_send(
    local: LocalDiscord, connect: Connect, path: str, options: dict[str, Any]
):
    async with connect(several):
        with pytest.raises(ImpossibleActError):
            await local.slash("viewer", "ops", path, **options)


async def test_buttons_selects_and_dialogs_travel_both_ways(local: LocalDiscord, connect: Connect):
    async with connect(several):
        panel = await local.slash("viewer", "ops", "panel")
        await local.click("viewer", panel.message, "Next")
        picked = await local.click("viewer", panel.message, "pick", values=["a"])
        asked = await local.click("viewer", panel.message, "Ask")
        told = await local.submit_modal("viewer", asked, {"Reason": "risk"})

        assert panel.message.text.startswith("page 2")
        assert (picked.text, asked.modal["title"], told.text) == ("picked a", "Why", "because risk")
        with pytest.raises(ImpossibleActError, match="disabled"):
            await local.click("viewer", panel.message, "Off")
        with pytest.raises(ImpossibleActError, match="too short"):
            await local.submit_modal("viewer", asked, {"Reason": "ab"})


async def test_limits_are_enforced_where_discord_py_does_not_look(local: LocalDiscord, connect: Connect):
    async with connect(raw):
        long = await local.slash("viewer", "ops", "long")
        await long.until(lambda r: r.callback is not None)
        twice = await local.slash("viewer", "ops", "twice")
        await twice.until(lambda r: "refused" in r.text)

        assert (long.text, long.refused) == ("refused 50035", [(400, 50035)])
        assert (twice.text, twice.refused) == ("refused 40060", [(400, 40060)])


async def test_uploaded_file_is_served_and_the_embed_points_at_it(local: LocalDiscord, connect: Connect):
    async with connect(raw) as client:
        reply = await local.slash("viewer", "ops", "chart")

        url = reply.message.embeds[0]["image"]["url"]
        assert url.endswith("/c.png")
        assert await client.http.get_from_cdn(url) == b"PNG"


async def test_late_callback_is_refused_for_good(local: LocalDiscord, connect: Connect):
    seen = []

    def build(client: Any) -> None:
        @client.tree.command(name="late", description="Late", guild=client.guild_of_farm)
        async def late(interaction: discord.Interaction) -> None:
            try:
                await interaction.response.defer()
            except discord.NotFound as error:
                seen.append(error.code)

    async with connect(build):
        local.faults.late_by_s = 3.5
        reply = await local.slash("viewer", "ops", "late")

        assert reply.failed
        assert reply.refused == [(404, 10062)]
    assert seen == [10062]


async def test_follow_up_after_fifteen_minutes_is_refused(local: LocalDiscord, connect: Connect):
    seen = []

    def build(client: Any) -> None:
        @client.tree.command(name="old", description="Old", guild=client.guild_of_farm)
        async def old(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("now")
            local.state.clock.advance(15 * 60 + 1)
            try:
                await interaction.edit_original_response(content="later")
            except discord.HTTPException as error:
                seen.append((error.status, error.code))

    async with connect(build):
        reply = await local.slash("viewer", "ops", "old")
        await reply.until(lambda r: r.refused)

    assert seen == [(401, 50027)]


async def test_dropped_socket_resumes_and_gets_what_it_missed(local: LocalDiscord, connect: Connect):
    async with connect(ping):
        await local.gateway.drop(4000)
        await local.gateway.wait_connected(0)
        reply = await local.slash("viewer", "ops", "ping")  # sent while the socket is down

        assert reply.text == "pong viewer"
        assert (local.gateway.resumes, local.gateway.identifies) == (1, 1)


async def test_op7_resumes_and_op9_identifies_anew(local: LocalDiscord, connect: Connect):
    async with connect(ping):
        await local.gateway.ask_reconnect()
        await local.state.bell.until(lambda: local.gateway.resumes == 1, 10)
        await local.gateway.invalidate(resumable=False)
        await local.state.bell.until(lambda: local.gateway.identifies == 2, 10)

        assert (await local.slash("viewer", "ops", "ping")).text == "pong viewer"


async def test_same_interaction_twice_is_refused_the_second_time(local: LocalDiscord, connect: Connect):
    async with connect(ping):
        reply = await local.slash("viewer", "ops", "ping")
        await local.humans.replay(reply)
        await reply.until(lambda r: r.refused)

        assert reply.refused == [(400, 40060)]


async def test_wrong_token_is_refused(local: LocalDiscord):
    client = discord.Client(intents=discord.Intents.none())
    with pytest.raises(discord.LoginFailure):
        await client.login("wrong")
    await client.close()


async def test_privileged_intents_are_refused(local: LocalDiscord):
    client = discord.Client(intents=discord.Intents(guilds=True, members=True))
    with pytest.raises(discord.PrivilegedIntentsRequired):
        await client.start(local.world.token)
    await client.close()


async def test_messages_webhooks_and_dms_follow_the_rules(local: LocalDiscord, connect: Connect):
    async with connect(ping) as client:
        channel = client.get_channel(int(local.world.channel("fills").id))
        message = await channel.send("hello @everyone", allowed_mentions=discord.AllowedMentions.none())
        await message.edit(content="hi")
        hook = await channel.create_webhook(name="Biel")
        await hook.send("voice", username="Xyko", wait=True)
        user = await client.http.start_private_message(int(local.world.member("viewer").id))

        assert [m.text for m in local.posts("fills")] == ["hi", "voice"]
        assert local.posts("fills")[0].pings == []
        assert user["recipients"][0]["username"] == "viewer"
        with pytest.raises(discord.HTTPException, match="50035"):
            await channel.create_webhook(name="my discord hook")
        with pytest.raises(discord.NotFound):
            await client.fetch_channel(1)
        await message.delete()
        assert len(local.posts("fills")) == 1


async def test_rate_limit_is_waited_out_when_it_carries_via(local: LocalDiscord, connect: Connect):
    async with connect(ping) as client:
        channel = client.get_channel(int(local.world.channel("fills").id))
        local.faults.rate_limit_next("POST /channels/", 0.05)
        await channel.send("patient")
        local.faults.rate_limit_next("POST /channels/", 0.05, via=False)

        with pytest.raises(discord.HTTPException):
            await channel.send("banned")
        assert [m.text for m in local.posts("fills")] == ["patient"]


async def test_unknown_route_fails_the_block(aimed: Callable[[LocalDiscord], None]):
    async def call_it() -> None:
        async with LocalDiscord(World.default()) as local:
            aimed(local)
            client = discord.Client(intents=discord.Intents.none())
            await client.login(local.world.token)
            with pytest.raises(discord.NotFound):
                await client.http.request(discord.http.Route("GET", "/voice/regions"))
            await client.close()

    with pytest.raises(AssertionError, match="GET /voice/regions"):
        await call_it()


async def test_oversized_sync_is_refused(local: LocalDiscord):
    client = discord.Client(intents=discord.Intents.none())
    tree = app_commands.CommandTree(client)

    @tree.command(name="bad", description="x" * 101)
    async def bad(_: discord.Interaction) -> None: ...

    await client.login(local.world.token)
    with pytest.raises(discord.app_commands.CommandSyncFailure):
        await tree.sync()
    await client.close()
