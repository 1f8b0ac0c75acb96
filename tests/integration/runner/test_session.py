"""What a runner records is everything it saw and did: the replay makes the same bytes, and finds a changed log."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import FundingPaid, Verb
from omega.domain import Action, Side
from omega.errors import ConfigError, CorruptData, EnvironmentFault
from services.runner.replay import Replay, main, sessions_in
from services.runner.session import Session, link, read_session

from .conftest import BOT, BTC, DROP, FALL, JUMP, MINUTE_NS


async def story(desk: Any) -> None:
    """An entry, its fill, funding, a kill, an exit, a pause, a flatten and a resume."""
    await desk.close(958.0)
    await desk.close(JUMP)
    await desk.decided(2)
    await desk.fill(Side.BUY, "0.1", "1010")
    await desk.bus.send(FundingPaid(BOT, "bitget", "main", "BTC-USDT.P", Decimal("-0.01"), "f1", desk.rows * MINUTE_NS))
    await desk.close(JUMP + 5)
    await desk.decided(3)
    await desk.kill()
    await desk.close(JUMP + 6)
    await desk.start()
    await desk.decided(4)
    await desk.close(DROP)
    await desk.decided(5)
    await desk.fill(Side.SELL, "0.05", "900")
    await desk.command(Verb.FLATTEN, command_id="now")
    await desk.command(Verb.RESUME)
    await desk.answered(2)
    await desk.fill(Side.SELL, "0.05", "901")
    await desk.close(JUMP + 60)
    await desk.decided(6)


@pytest.fixture
async def session(make_desk: Callable[..., Any], tmp_path: Path) -> tuple[Path, list[str]]:
    """A recorded session, and the texts of the intents that were on the bus."""
    async with make_desk(record=tmp_path / "log") as desk:
        await story(desk)
        sent = [intent.intent_id for intent in await desk.intents()]
    return tmp_path / "log" / f"{BOT}.session.jsonl", sent


def relinked(lines: list[bytes]) -> bytes:
    """Write lines with a sound chain, as a forger would who knows it."""
    chain, made = b"", []
    for line in lines:
        body = line.rpartition(b',"chain":"')[0]
        chain = link(chain, body)
        made.append(b'%b,"chain":"%b"}\n' % (body, chain))
    return b"".join(made)


@pytest.mark.req("4.19")
async def test_session_replayed_makes_every_intent_again(session: tuple[Path, list[str]]) -> None:
    path, sent = session

    outcome = Replay(path).run().as_json()
    recorded = [json.loads(text)["intent_id"] for line in read_session(path) for text in line.intents]

    assert outcome["ok"], outcome["differences"]
    assert (outcome["starts"], outcome["decisions"], outcome["fills"]) == (2, 6, 3)
    first, second = len(FALL) + 3, len(FALL) + 4 + 2  # the second start reads its window from the bus again
    assert outcome["bars"] == first + second
    assert sorted(recorded) == sorted(sent)
    actions = {json.loads(text)["action"] for line in read_session(path) for text in line.intents}
    assert actions == set(Action) - {Action.TIGHTEN}, "a bot without a trailing stop moves none"


async def test_session_changed_intent_is_found(session: tuple[Path, list[str]]) -> None:
    """One digit of one intent: the line no longer fits its chain, and the code makes another intent."""
    path, _ = session
    text = path.read_bytes()
    size = next(json.loads(line.intents[0])["size"] for line in read_session(path) if line.intents)
    path.write_bytes(text.replace(f'\\"size\\":\\"{size}\\"'.encode(), b'\\"size\\":\\"9\\"', 1))

    outcome = Replay(path).run().as_json()

    kinds = {one["what"]: one for one in outcome["differences"]}
    assert not outcome["ok"]
    assert kinds["intent"]["field"] == "size"
    assert (kinds["intent"]["recorded"], kinds["intent"]["replayed"]) == ("9", size)
    assert kinds["log"]["line"] == kinds["intent"]["line"]


async def test_session_forged_bar_with_a_sound_chain_is_found_by_its_decision(session: tuple[Path, list[str]]) -> None:
    path, _ = session
    lines = path.read_bytes().splitlines()
    row = next(i for i, line in enumerate(lines) if b'"saw":"closed"' in line and f'"close":{JUMP}'.encode() in line)
    lines[row] = lines[row].replace(f'"close":{JUMP}'.encode(), f'"close":{JUMP - 0.5}'.encode(), 1)
    path.write_bytes(relinked(lines))

    first = Replay(path).run().as_json()["differences"][0]

    assert (first["line"], first["what"]) == (row + 1, "intent")
    assert first["cause"] == "code of the engine or the runner has changed since the recording"


async def test_session_other_strategy_code_is_named_as_the_cause(session: tuple[Path, list[str]]) -> None:
    """A log of older code that decides otherwise: the replay says that the code has changed."""
    path, _ = session
    lines = path.read_bytes().splitlines()
    start = json.loads(lines[0])
    lines[0] = lines[0].replace(start["is"]["code"].encode(), b"0123456789abcdef", 1)
    lines[0] = lines[0].replace(b'"risk":0.01', b'"risk":0.02', 1)
    path.write_bytes(relinked(lines))

    first = Replay(path).run().as_json()["differences"][0]

    assert (first["what"], first["field"]) == ("intent", "size")
    assert first["cause"] == "the strategy's code has changed since the recording"


@pytest.mark.parametrize("how", ["left out", "moved"])
async def test_session_line_left_out_or_moved_is_found(how: str, session: tuple[Path, list[str]]) -> None:
    path, _ = session
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "moved":
        lines[5], lines[6] = lines[6], lines[5]
    else:
        del lines[5]
    path.write_bytes(b"".join(lines))

    first = Replay(path).run().as_json()["differences"][0]

    assert (first["what"], first["line"]) == ("log", 6)
    assert "changed, left out or moved" in first["cause"]


async def test_session_torn_last_line_is_left_out_and_written_over(session: tuple[Path, list[str]]) -> None:
    """A kill in the middle of a write: the replay reads the whole lines, a new process writes on behind them."""
    path, _ = session
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[-1][:40])

    assert Replay(path).run().as_json()["ok"]

    log = Session(path.parent, BOT)
    start = next(iter(read_session(path))).saw
    log.begin(start.charter, BTC, "", start.code)  # type: ignore[union-attr]
    log.close()
    outcome = Replay(path).run().as_json()

    assert path.read_bytes().startswith(whole)
    assert (outcome["ok"], outcome["starts"]) == (True, 3)


async def test_session_unrecorded_runner_writes_nothing(desk: Any, tmp_path: Path) -> None:
    await desk.close(JUMP)
    await desk.decided(1)

    assert desk.bot._session is None
    assert sorted(tmp_path.glob("**/*")) == []  # noqa: ASYNC240 - an empty folder of the test


def test_session_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("here")

    with pytest.raises(EnvironmentFault, match="cannot record the session of alpha"):
        Session(tmp_path / "taken", BOT)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "holds no start"),
        (b"hello\n", "line 1: this is no line of a session"),
        (b'{"saw":"closed","chain":"0123"}\n', "line 1: this is no line of a session"),
        (b'{"saw":"told","is":{"order":"paused"},"intents":[],"decision":"","chain":"x"}\n', "begin with a start"),
        (b'{"saw":"told","is":{"order":"sing"},"intents":[],"decision":"","chain":"x"}\n', "line 1, field order"),
    ],
)
def test_session_broken_file_is_named_by_line(text: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{'.session.jsonl'}"
    path.write_bytes(text)

    with pytest.raises(CorruptData, match=says):
        Replay(path).run()


def test_session_folder_without_one_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no session"):
        sessions_in(tmp_path)


async def test_session_replay_process_prints_totals(session: tuple[Path, list[str]], capsys: Any) -> None:
    path, sent = session

    code = main([str(path.parent)])
    outcome = json.loads(capsys.readouterr().out)

    assert (code, outcome["ok"], outcome["differences"]) == (0, True, [])
    assert outcome["intents"] == len(sent)
    assert [one["bot"] for one in outcome["sessions"]] == [BOT]
