"""The local Discord refuses what Discord refuses."""

from pathlib import Path
from typing import Any

import pytest

from omega.errors import ConfigError
from omega.testing.discord import ImpossibleActError, World
from omega.testing.discord.bell import Bell
from omega.testing.discord.clock import WorldClock
from omega.testing.discord.commands import CommandBook, fill_options
from omega.testing.discord.limits import check_choices, check_message, check_modal
from omega.testing.discord.messages import MessageStore
from omega.testing.discord.refusals import Refusal


def button(label: str = "b", custom_id: str = "id", **more: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": label, "custom_id": custom_id, **more}


def row(*inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(inner)}


TEXT = {"type": 10, "content": "hello"}
V2 = 1 << 15


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": "x" * 2001},
        {"embeds": [{"title": "t"}] * 11},
        {"embeds": [{"title": "x" * 257}]},
        {"embeds": [{"description": "x" * 4097}]},
        {"embeds": [{"fields": [{"name": "n", "value": "v"}] * 26}]},
        {"embeds": [{"fields": [{"name": "n", "value": ""}]}]},
        {"embeds": [{"footer": {"text": "x" * 2049}}]},
        {"embeds": [{"description": "x" * 3001}] * 2},
        {"content": "c", "components": [button()]},
        {"content": "c", "components": [row(*[button(custom_id=str(n)) for n in range(6)])]},
        {"content": "c", "components": [row(button(), button())]},
        {"content": "c", "components": [row(button(custom_id=""))]},
        {"content": "c", "components": [row(button(custom_id="x" * 101))]},
        {"content": "c", "components": [row(button(label="x" * 81))]},
        {"content": "c", "components": [row(button(), {"type": 3, "custom_id": "s", "options": []})]},
        {"content": "c", "components": [row({"type": 3, "custom_id": "s", "options": []})]},
        {"content": "c", "components": [row(button(style=5))]},
        {"content": "c", "components": [row(button(custom_id=str(n))) for n in range(6)]},
        {"flags": V2, "content": "c", "components": [TEXT]},
        {"flags": V2, "components": []},
        {"flags": V2, "components": [button()]},
        {"flags": V2, "components": [{"type": 10, "content": "x" * 4001}]},
        {"flags": V2, "components": [TEXT] * 41},
    ],
)
def test_message_beyond_a_limit_is_refused_with_50035(body: dict[str, Any]):
    with pytest.raises(Refusal) as refused:
        check_message(body)
    assert refused.value.body["code"] == 50035
    assert refused.value.body["errors"]


@pytest.mark.parametrize(
    "body",
    [
        {"content": "c"},
        {"embeds": [{"title": "t"}]},
        {
            "content": "c",
            "components": [row(button()), row(button(custom_id="2", style=5, url="http://x") | {"custom_id": None})],
        },
        {
            "flags": V2,
            "components": [
                {"type": 17, "components": [TEXT, {"type": 9, "components": [TEXT], "accessory": button()}]}
            ],
        },
    ],
)
def test_message_within_the_limits_is_accepted(body: dict[str, Any]):
    check_message(body)


def test_modal_and_choices_have_limits():
    good = {"title": "t", "custom_id": "c", "components": [{"type": 18, "component": {"type": 4, "custom_id": "x"}}]}
    check_modal(good)
    for bad in ({**good, "title": "x" * 46}, {**good, "components": []}, {**good, "components": [TEXT | {"type": 2}]}):
        with pytest.raises(Refusal):
            check_modal(bad)
    with pytest.raises(Refusal):
        check_choices([{"name": str(n), "value": n} for n in range(26)])


def command(name: str = "go", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "d", "type": 1, **more}


@pytest.fixture(name="book")
def book_fixture() -> CommandBook:
    return CommandBook(WorldClock(), Bell(), "9")


@pytest.mark.parametrize(
    "commands",
    [
        [command("Go")],
        [command("x" * 33)],
        [command(description="")],
        [command(), command()],
        [command(str(n)) for n in range(101)],
        [command(options=[command(str(n), type=3) for n in range(26)])],
        [command(options=[command("a", type=3), command("b", type=3, required=True)])],
        [command(options=[command("a", type=3, choices=[{"name": "", "value": "v"}])])],
        [
            command(
                options=[
                    command(
                        f"{n}", type=3, description="x" * 100, choices=[{"name": "y" * 100, "value": "z" * 100}] * 2
                    )
                    for n in range(25)
                ]
            )
        ],
        [{"name": "menu", "type": 3, "description": "not allowed"}],
    ],
)
def test_sync_beyond_a_limit_is_refused(book: CommandBook, commands: list[dict[str, Any]]):
    with pytest.raises(Refusal):
        book.put("1", commands)


def test_sync_keeps_ids_and_counts_creates(book: CommandBook):
    first = book.put("1", [command()])[0]["id"]
    assert book.put("1", [command(), command("two")])[0]["id"] == first
    assert (book.creates, book.puts) == (2, 2)
    book.creates = 200
    with pytest.raises(Refusal, match="30034"):
        book.put("1", [command("three")])


def test_options_are_checked_as_a_client_does(book: CommandBook):
    option = {"name": "n", "description": "d", "type": 4, "min_value": 1, "max_value": 5}
    book.put("1", [command(options=[option]), command("top", options=[command("sub", options=[option])])])
    resolved = book.resolve("go", "1")

    assert fill_options(resolved, {"n": 3}) == [{"name": "n", "type": 4, "value": 3}]
    assert book.resolve("top sub", "1").data([])["options"][0]["name"] == "sub"
    for bad in ({"n": 9}, {"n": "3"}, {"n": True}):
        with pytest.raises(ImpossibleActError):
            fill_options(resolved, bad)
    for path in ("top", "top nothing", "nothing"):
        with pytest.raises(ImpossibleActError):
            book.resolve(path, "1")


def test_edits_of_old_messages_are_capped():
    clock = WorldClock()
    store = MessageStore(clock, Bell())
    message = store.create("1", {}, {"content": "a"})
    clock.advance(3601)
    for _ in range(5):
        store.edit(message, {"content": "b"})
    with pytest.raises(Refusal, match="30046"):
        store.edit(message, {"content": "c"})


@pytest.mark.parametrize(
    ("allowed", "pings"),
    [
        (None, ["@everyone", "<@5>", "<@&6>"]),
        ({"parse": []}, []),
        ({"parse": ["users"]}, ["<@5>"]),
        ({"parse": [], "roles": ["6"]}, ["<@&6>"]),
    ],
)
def test_mentions_ping_as_allowed(allowed: dict[str, Any] | None, pings: list[str]):
    body: dict[str, Any] = {"content": "@everyone <@5> <@&6>"}
    message = MessageStore(WorldClock(), Bell()).create(
        "1", {}, body if allowed is None else {**body, "allowed_mentions": allowed}
    )

    assert message.pings == pings


def test_world_file_replaces_what_it_names(tmp_path: Path):
    path = tmp_path / "world.yaml"
    path.write_text(
        "token: t\nguild: {id: 7, name: G}\nroles: {boss: {id: 8, permissions: 8}}\nchannels: {main: 9}\n"
        "members: {ann: {id: 10, roles: [boss]}}\n"
    )
    world = World.load(path)

    assert (world.guild_id, world.channel("9").name, world.member("10").roles) == ("7", "main", ("8",))
    assert world.permissions(world.member("ann")) & 8


@pytest.mark.parametrize("text", ["colour: red", "- a", "{", None])
def test_bad_world_file_is_refused(tmp_path: Path, text: str | None):
    path = tmp_path / "world.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match="world"):
        World.load(path)


def test_unknown_names_say_what_there_is():
    with pytest.raises(KeyError, match="ops"):
        World.default().channel("nothing")
