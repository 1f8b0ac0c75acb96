"""A session on disk: everything a bot saw and did, in order, one JSON line each. Written by the runner, read by replay.

Every line carries a link of a hash chain over all lines before it, so that a line that was changed, left out or moved
is found. A line is in the file before its intents leave; it survives the death of the process.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quote
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from omega.bus.codec import format_of
from omega.domain import Instrument
from omega.errors import ConfigError, CorruptData, EnvironmentFault
from services.runner.charter import Charter
from services.runner.seen import Done, Seen

FORMAT: Final = 1
SUFFIX: Final = ".session.jsonl"


@dataclass(frozen=True, slots=True)
class Start:
    """A process begins: what the bot is told to be, what it trades, what it remembers, and whose code it runs."""

    format: int
    charter: Charter
    instrument: Instrument
    state: str
    code: str


Noted = Start | Seen


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a session.

    Attributes:
        number: of the line in the file, from 1.
        saw: what was seen.
        intents: what was done about it, each as the very text that went to the bus.
        decision: the decision as it went to the bus, empty when there was none.
        linked: whether the line is the one that was written behind the line before it.
    """

    number: int
    saw: Noted
    intents: tuple[str, ...]
    decision: str
    linked: bool


_KINDS: Final[dict[str, type]] = {kind.__name__.lower(): kind for kind in (Start, *get_args(Seen))}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}
_ADAPTERS: Final[dict[type, TypeAdapter[Any]]] = {kind: TypeAdapter(kind) for kind in _KINDS.values()}


class Session:
    """The log of one bot; a process that comes later writes on where the one before it ended."""

    def __init__(self, folder: Path, bot: str) -> None:
        """Open the log of a bot in a folder.

        Raises:
            EnvironmentFault: the file cannot be written.
        """
        self.path = folder / f"{bot}{SUFFIX}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._chain, whole = _end_of(self.path)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.ftruncate(self._file, whole)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot record the session of {bot} in {self.path}: {error.strerror}; name another folder to record to"
            ) from error

    def begin(self, charter: Charter, instrument: Instrument, state: str, code: str) -> None:
        """Note the start of a process."""
        self._write(Start(FORMAT, charter, instrument, state, code), Done())

    def note(self, saw: Seen, done: Done) -> None:
        """Append one thing seen and what is done about it.

        Raises:
            EnvironmentFault: the line cannot be written; nothing that it names has left.
        """
        self._write(saw, done)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, saw: Noted, done: Done) -> None:
        body = _body(saw, done)
        self._chain = link(self._chain, body)
        line = b'%b,"chain":"%b"}\n' % (body, self._chain)
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot write {self.path}: {error.strerror}; free space, then start again"
            ) from error
        if written != len(line):
            raise EnvironmentFault(f"cannot write {self.path}: the disk is full; free space, then start again")


def read_session(path: Path) -> Iterator[Line]:
    """Read a session line by line; a last line that was torn by a kill is left out.

    Raises:
        ConfigError: there is no such file.
        CorruptData: a line is no line of a session; its number is named.
    """
    try:
        lines = path.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot read the session {path}: {error.strerror}; name a *{SUFFIX} file") from error
    chain = b""
    with lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            body, chain_found = _parted(path, number, line)
            linked = link(chain, body) == chain_found
            chain = chain_found
            yield _line(path, number, line, linked=linked)


def link(chain: bytes, body: bytes) -> bytes:
    """Return the next link of the chain."""
    return hashlib.blake2s(chain + body, digest_size=8).hexdigest().encode()


def wire_text(message: Any) -> str:
    """Return a message's data as the text that goes to the bus."""
    return format_of(message).dump(message).decode()


def code_of(strategy: Callable[..., Any]) -> str:
    """Return a hash of the source file that holds a strategy, empty when it has none."""
    try:
        source = inspect.getsourcefile(strategy)
        return hashlib.blake2s(Path(source).read_bytes(), digest_size=8).hexdigest() if source else ""
    except (OSError, TypeError):
        return ""


def _body(saw: Noted, done: Done) -> bytes:
    intents = ",".join([_quote(wire_text(intent)) for intent in done.intents])
    decision = _quote(wire_text(done.made)) if done.made is not None else '""'
    told = _ADAPTERS[type(saw)].dump_json(saw)
    tail = f',"intents":[{intents}],"decision":{decision}'.encode()
    return b'{"saw":"%b","is":%b%b' % (_NAMES[type(saw)].encode(), told, tail)


_CHAIN: Final = b',"chain":"'


def _parted(path: Path, number: int, line: bytes) -> tuple[bytes, bytes]:
    body, mark, rest = line.rpartition(_CHAIN)
    if not mark or not rest.endswith(b'"}\n'):
        raise CorruptData(f"{path}, line {number}: this is no line of a session (it has no chain); record it anew")
    return body, rest[:-3]


def _line(path: Path, number: int, text: bytes, *, linked: bool) -> Line:
    try:
        raw = json.loads(text)
        saw = _ADAPTERS[_KINDS[raw["saw"]]].validate_python(raw["is"])
        line = Line(number, saw, tuple(raw["intents"]), raw["decision"], linked)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise CorruptData(f"{path}, line {number}, field {where}: {problem['msg']}; record the session anew") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"{path}, line {number}: this is no line of a session ({error!r}); record it anew") from error
    if isinstance(saw, Start) and saw.format != FORMAT:
        raise CorruptData(f"{path}, line {number}: format {saw.format} is unknown to this build, which reads {FORMAT}")
    return line


def _end_of(path: Path) -> tuple[bytes, int]:
    """Return the last link of a log and how long its whole lines are."""
    chain, length = b"", 0
    if path.exists():
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                length += len(line)
                _, chain = _parted(path, number, line)
    return chain, length
