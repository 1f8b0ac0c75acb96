"""The generated Redis users on a real server: each can do its work, and nothing of another's."""

from __future__ import annotations

import ast
import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path

import hiredis
import pytest

from omega.bus import ANY, SPECS, Bus, MessageClass, RedisBus, SendResult, connect
from omega.bus.acl import ADMIN, SERVICES, STATES, Rights, User, acl_file, rights, rules, users
from omega.bus.docs import topic_templates
from omega.bus.inspect import server_findings
from omega.bus.messages import ASKS
from omega.bus.samples import samples
from omega.bus.topics import Topics
from omega.domain import Intent
from omega.errors import ConfigError, EnvironmentFault
from omega.testing.bus_contract import QUICK, BusContract, decision, intent, numbers, order
from omega.testing.servers import ValkeyServer, valkey_server
from omega.topology import redis_user

ROOT = Path(__file__).resolve().parents[3]
TOPICS = Topics("dev")
BOTS = ("xyko", "other")
SUITE = "suite"
PASSWORDS = {name: f"pw-{name}" for name in [*(one.name for one in users("dev", BOTS)), SUITE]}
WHO = [*((service, "") for service in SERVICES), *(("runner", bot) for bot in BOTS)]
TEMPLATES = sorted({template for spec in SPECS for template in topic_templates(spec)})
FORBIDDEN = (
    "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET appendonly no", "KEYS *", "DEBUG SLEEP 0", "SHUTDOWN NOSAVE",
    "ACL LIST", "ACL SETUSER evil on", "SCRIPT FLUSH", "CLIENT KILL TYPE pubsub", "MONITOR", "REPLICAOF NO ONE",
    "DEL dev:evt:ledger", "RENAME dev:evt:ledger x", "XDEL dev:evt:ledger 0-1", "FUNCTION FLUSH", "SWAPDB 0 1",
    "XGROUP DESTROY dev:evt:ledger ledger", "XGROUP SETID dev:evt:ledger ledger $", "MODULE LIST", "BGREWRITEAOF",
    "EVAL return(redis.call('FLUSHALL')) 0", "RESTORE dev:evt:ledger 0 x", "COPY dev:evt:ledger dev:evt:x",
)  # fmt: skip


def suite_user() -> User:
    """One user with the rights of all services together: what the contract suite plays alone."""
    union = Rights()
    for service, bot in [*((name, "") for name in SERVICES), ("runner", "*")]:
        mine = rights("dev", service, bot)
        for part in fields(Rights):
            getattr(union, part.name).update(getattr(mine, part.name))
    # The suite has senders and groups of its own names, and a nonce.
    union.keeps |= {TOPICS.state(kind, "*") for kind in ("lease", "epoch", "nonce")} | {TOPICS.seen("dev:*", "*")}
    for stream in tuple(union.appends):
        union.drains.add(stream)
        union.buries.add(TOPICS.dead_letters(stream))
    union.appends |= union.buries | {TOPICS.request("*")}
    union.drains.add(TOPICS.request("*"))
    union.reads.add("dev:*")
    union.publishes.add("dev:*")
    union.hears |= {"dev:*", "dev:md:*", "dev:md:quote:*"}
    # Dead letters are replayed by the administrator, whom the suite plays as well.
    return User(SUITE, rules("dev", union, also=("scan",)) + " (+xdel ~dev:dlq:*)")


SERVERS = ("embedded", "redis-server")
"""The farm's own server, and the machine's: Debian's Redis 7.0 is the oldest that the farm runs on."""


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[ValkeyServer]:
    """Give a server that knows the generated users; skip where there is none of the kind."""
    binary = "" if kind == "embedded" else shutil.which(kind)
    if binary is None:
        pytest.skip(f"no {kind}: apt-get install redis-server")
    path = folder / "users.acl"
    path.write_text(acl_file([*users("dev", BOTS), suite_user()], PASSWORDS, admin="boss"))
    try:
        with valkey_server({"aclfile": str(path)}, binary=binary) as running:
            yield running
    except EnvironmentFault as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with serving(request.param, tmp_path_factory.mktemp("acl")) as running:
        yield running


def url_of(server: ValkeyServer, name: str, password: str = "") -> str:
    return f"redis://{name}:{password or PASSWORDS[name]}@127.0.0.1:{server.port}/0"


class Raw:
    """One logged-in connection that says whatever a rogue process would, also after another test's outage."""

    def __init__(self, server: ValkeyServer, name: str, password: str) -> None:
        self._server, self._login = server, ("AUTH", name, password)
        self._connect()

    def say(self, *words: str) -> object:
        try:
            return self._ask(*words)
        except OSError:
            self.close()
            self._connect()
            return self._ask(*words)

    def _connect(self) -> None:
        if not self._server.running:
            self._server.start()
        self._socket = socket.create_connection(("127.0.0.1", self._server.port), timeout=60.0)
        self._reader = hiredis.Reader(replyError=ValueError)
        assert self._ask(*self._login) == b"OK"

    def _ask(self, *words: str) -> object:
        self._socket.sendall(hiredis.pack_command(words))
        while (reply := self._reader.gets()) is False:
            came = self._socket.recv(1 << 16)
            if not came:
                raise ConnectionResetError("the server has closed the connection")
            self._reader.feed(came)
        return reply

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def rogues(server: ValkeyServer) -> Iterator[dict[tuple[str, str], Raw]]:
    if not server.running:
        server.start()
    raw = {who: Raw(server, redis_user("dev", *who), PASSWORDS[redis_user("dev", *who)]) for who in WHO}
    yield raw
    for one in raw.values():
        one.close()


def refused(answer: object) -> bool:
    return isinstance(answer, ValueError) and str(answer).startswith("NOPERM")


def may_write(service: str, bot: str, template: str) -> bool:
    """Read the registry a second time, by hand: is this topic one that the service produces, and of its own bot?"""
    writers = {name for spec in SPECS if template in topic_templates(spec) for name in spec.producers}
    return bool({service, ANY} & writers) and ("{bot}" not in template or not bot or bot == "xyko")


def concrete(template: str, service: str) -> str:
    """Return one real topic of a template: of the bot xyko, of this very service where it carries its sender."""
    asked = ASKS.get(service, ("cosmic",))[0] if template.startswith("{env}:req:") else service
    for name, value in {"env": "dev", "bot": "xyko", "service": asked, "symbol": "btc-usdt.p"}.items():
        template = template.replace(f"{{{name}}}", value)
    return template.replace("{", "").replace("}", "")


@pytest.mark.req("2.43", "2.106", "1.77")
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(("service", "bot"), WHO, ids=lambda part: part or "-")
def test_server_lets_each_service_write_its_own_topics_and_refuses_all_others(
    rogues: dict[tuple[str, str], Raw], service: str, bot: str, template: str
) -> None:
    """Every service against every topic of the registry: stream and channel, granted exactly where it is a producer."""
    topic = concrete(template, service)
    records = any(spec.delivery is MessageClass.RECORD for spec in SPECS if template in topic_templates(spec))
    allowed = may_write(service, bot, template)

    appended = rogues[service, bot].say("XADD", topic, "*", "m", "x")
    published = rogues[service, bot].say("PUBLISH", topic, "x")

    assert refused(appended) == (not (allowed and records)), (topic, appended)
    assert refused(published) == (not allowed), (topic, published)


@pytest.mark.req("2.43", "2.106", "1.77")
@pytest.mark.parametrize(("service", "bot"), WHO, ids=lambda part: part or "-")
def test_no_service_may_administer_the_server_or_spoil_a_stream(
    rogues: dict[tuple[str, str], Raw], service: str, bot: str
) -> None:
    for command in FORBIDDEN:
        answer = rogues[service, bot].say(*command.split())
        assert isinstance(answer, ValueError), (command, answer)
        words = ("NOPERM", "ACL failure", "ermission", "can't run this command", "DEBUG command not allowed")
        assert any(word in str(answer) for word in words), (command, answer)


@pytest.mark.req("2.43")
def test_a_bot_reads_neither_the_orders_nor_the_state_of_another(rogues: dict[tuple[str, str], Raw]) -> None:
    mine = rogues["runner", "xyko"]

    assert refused(mine.say("XRANGE", TOPICS.bot_events("other"), "-", "+"))
    assert refused(mine.say("XRANGE", TOPICS.ledger(), "-", "+"))
    assert refused(mine.say("GET", TOPICS.state("runner", "other")))
    assert refused(mine.say("SET", TOPICS.state("lease", "bot:other"), "me"))
    assert refused(mine.say("SET", TOPICS.seen(TOPICS.decisions("other"), "decision:other:1"), "1"))
    assert refused(mine.say("XACK", TOPICS.control("farm"), "gateway:bitget:main", "1-0"))
    assert refused(mine.say("SUBSCRIBE", TOPICS.bot_events("other")))
    assert isinstance(mine.say("XRANGE", TOPICS.bot_events("xyko"), "-", "+"), list)


@pytest.mark.req("2.43", "2.124")
async def test_a_bot_cannot_order_for_another_through_the_bus(server: ValkeyServer) -> None:
    """The bus of bot `other` sends an intent and a decision of `xyko`: nothing arrives, also not half of it."""
    rogue = connect(url_of(server, "dev-runner-other"), env="dev", source="runner/other", patience=QUICK)
    gateway = connect(url_of(server, "dev-gateway"), env="dev", source="gateway/1", patience=QUICK)
    await rogue.start()
    await gateway.start()
    before = len(await gateway.history(TOPICS.intents("bitget", "main", high=False)))
    try:
        for message in (intent(1), decision("xyko", 1), order("xyko"), *samples("fill"), *samples("command")):
            with pytest.raises(EnvironmentFault, match="rights"):
                await rogue.send(message)
        assert len(await gateway.history(TOPICS.intents("bitget", "main", high=False))) == before
    finally:
        await rogue.close()
        await gateway.close()


async def test_each_runner_sends_in_its_own_lane_and_the_gateway_reads_all(server: ValkeyServer) -> None:
    runner = connect(url_of(server, "dev-runner-xyko"), env="dev", source="runner/xyko", patience=QUICK)
    gateway = connect(url_of(server, "dev-gateway"), env="dev", source="gateway/1", patience=QUICK)
    await runner.start()
    await gateway.start()
    lanes = [TOPICS.intents("bitget", "acl", high=high) for high in (True, False)]
    try:
        async with gateway.records(*lanes, group="gateway", block_ms=50) as batches:
            lease = await runner.lease("bot:xyko")
            sent = samples("intent")[1]
            assert isinstance(sent, Intent)
            mine = Intent(**{**{f.name: getattr(sent, f.name) for f in fields(sent)},
                             "bot": "xyko", "venue": "bitget", "account": "acl"})  # fmt: skip
            assert await runner.send(mine, lease=lease) is SendResult.SENT
            (delivery,) = await asyncio.wait_for(anext(batches), 60)
            async with delivery:
                assert delivery.received.topic == TOPICS.intents("bitget", "acl", high=mine.reduces, bot="xyko")
    finally:
        await runner.close()
        await gateway.close()


async def test_wrong_password_and_no_login_are_refused_with_a_way_out(server: ValkeyServer) -> None:
    for url in (url_of(server, "dev-ledger", "wrong"), f"redis://127.0.0.1:{server.port}/0"):
        with pytest.raises(EnvironmentFault, match="password") as caught:
            await connect(url, env="dev", source="ledger/1", patience=QUICK).start()
        assert "wrong" not in str(caught.value).replace("is wrong", "")


@pytest.mark.parametrize("kind", SERVERS)
async def test_what_a_script_wrote_survives_a_restart_though_the_default_user_is_off(kind: str, tmp_path: Path) -> None:
    """A server reads its file back as the default user: one without rights loses every record, silently."""
    with serving(kind, tmp_path) as server:
        written, kept = await _decide(server, 1), await _decide(server, 2, restarted=True)

        assert (written, kept) == ([1], [1, 2])
        assert server.command("XLEN", TOPICS.decisions("xyko")).startswith(b"-NOAUTH")
        assert server.command("AUTH", "default", "").startswith(b"-WRONGPASS")


async def test_the_doctor_finds_a_default_user_that_would_lose_the_records(tmp_path: Path) -> None:
    with serving("embedded", tmp_path) as server:
        raw = Raw(server, ADMIN, "boss")
        levels = []
        for rights_ in ("+@all", "-@all"):
            raw.say("ACL", "SETUSER", "default", rights_)
            boss = connect(f"redis://{ADMIN}:boss@127.0.0.1:{server.port}/0", env="dev", source="cli", patience=QUICK)
            await boss.start()
            levels.append([one.level for one in await server_findings(boss) if "default user" in one.text])
            await boss.close()
        cli = connect(url_of(server, "dev-cli"), env="dev", source="cli", patience=QUICK)
        await cli.start()

        assert levels == [[], ["bad"]]
        assert not [one for one in await server_findings(cli) if one.level == "bad"]  # it may not ask, and goes on
        await cli.close()
        raw.close()


async def _decide(server: ValkeyServer, number: int, *, restarted: bool = False) -> list[int]:
    """Write a decision, after a restart on wish, and return what the stream holds."""
    if restarted:
        server.restart()
    bus = connect(url_of(server, "dev-runner-xyko"), env="dev", source="runner/xyko", patience=QUICK)
    await bus.start()
    await bus.send(decision("xyko", number))
    found = numbers(await bus.history(TOPICS.decisions("xyko")))
    await bus.close()
    return found


def test_acl_file_holds_hashes_alone_and_wants_a_password_each() -> None:
    text = acl_file(users("dev", BOTS), PASSWORDS, admin="boss")

    assert text.startswith("user default off")
    assert not [password for password in [*PASSWORDS.values(), "boss"] if password in text]
    assert text.splitlines()[-1].startswith(f"user {ADMIN} on #")
    with pytest.raises(ConfigError, match="no password for dev-ledger"):
        acl_file(users("dev", ()), {**PASSWORDS, "dev-ledger": ""})
    with pytest.raises(ConfigError, match="share"):
        acl_file(users("dev", ()), {**PASSWORDS, "dev-ledger": PASSWORDS["dev-cosmic"]})
    with pytest.raises(ConfigError, match="no service 'broker'"):
        rights("dev", "broker")
    with pytest.raises(ConfigError, match="name the bot"):
        rights("dev", "runner")


def test_every_kept_value_of_the_code_is_in_the_list_of_states() -> None:
    """A new `topics.state(...)` without a row would be refused by the server of a running farm: say so here first."""
    first_parts = {state.key.split(":")[0] for state in STATES} | {"streams"}
    sources = [*(ROOT / "services").rglob("*.py"), *(ROOT / "omega" / "bus").glob("*.py")]
    found = {
        str(node.args[0].value)
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "state"
        if node.args and isinstance(node.args[0], ast.Constant)
    }

    assert {"halt", "runner", "lease", "epoch", "instrument"} <= found
    assert found <= first_parts, f"add {found - first_parts} to omega.bus.acl.STATES"


def test_states_of_two_bots_do_not_overlap() -> None:
    first, second = rights("dev", "runner", "fib"), rights("dev", "runner", "fib-btc")

    for part in ("keeps", "appends"):
        own = {key for key in getattr(second, part) if "fib-btc" in key}
        assert own
        assert not [(key, pattern) for key in own for pattern in getattr(first, part) if fnmatchcase(key, pattern)]


class AclWorld:
    """The suite's world with everybody logged in as a user of the generated file."""

    def __init__(self, server: ValkeyServer) -> None:
        self.server = server
        self.buses: list[RedisBus] = []

    async def bus(self, source: str) -> Bus:
        bus = connect(url_of(self.server, SUITE), env="dev", source=source, patience=QUICK)
        await bus.start()
        self.buses.append(bus)
        return bus

    async def down(self) -> None:
        self.server.kill()

    async def up(self) -> None:
        self.server.start()

    async def flush(self) -> None:
        raw = Raw(self.server, ADMIN, "boss")
        raw.say("FLUSHALL")
        raw.close()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


@pytest.mark.req("0.28", "2.43")
class TestRedisBusWithAccessList(BusContract):
    """The commands that the generated users have are those that the bus needs: the whole suite, logged in."""

    @pytest.fixture
    async def world(self, server: ValkeyServer) -> AsyncIterator[AclWorld]:
        if not server.running:
            server.start()
        made = AclWorld(server)
        await made.flush()
        yield made
        await made.close()


async def test_ledger_reads_what_it_needs_and_numbers_come_through(server: ValkeyServer) -> None:
    runner = connect(url_of(server, "dev-runner-xyko"), env="dev", source="runner/xyko", patience=QUICK)
    ledger = connect(url_of(server, "dev-ledger"), env="dev", source="ledger/1", patience=QUICK)
    await runner.start()
    await ledger.start()
    try:
        async with (
            ledger.records(TOPICS.ledger(), TOPICS.decisions(), group="ledger", block_ms=50) as batches,
            asyncio.timeout(30),
        ):
            await runner.send(decision("xyko", 77))
            seen: list[int] = []
            while 77 not in seen:
                for delivery in await anext(batches):
                    async with delivery:
                        seen += numbers([delivery.received])
    finally:
        await runner.close()
        await ledger.close()
