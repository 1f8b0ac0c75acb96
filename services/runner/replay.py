"""Replay a recorded session through the very code that made it. Run by `omega replay` as a process of its own.

Every line of the log is folded again; intents and decisions must come out as the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from omega.domain import iso
from omega.errors import ConfigError, CorruptData, InvariantBroken, OmegaError
from services.runner.bot import Bot
from services.runner.seen import Again, Changed, Closed, Done, Filled, History, Seen
from services.runner.session import SUFFIX, Line, Start, code_of, read_session, wire_text
from services.runner.state import BotState

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the replay and the log part.

    Attributes:
        line: of the file, from 1.
        what: `intent`, `decision`, `log` (the line was changed, left out or moved) or `refused`.
        field: the first field that differs, empty when the whole thing does.
        recorded: what the log says.
        replayed: what the code says now.
        cause: the likely reason in words.
    """

    line: int
    bar: str
    what: str
    field: str
    recorded: str
    replayed: str
    cause: str


class Replay:
    """One session, folded line by line.

    Attributes:
        differences: what did not come out as recorded, in the order of the log.
        counts: bars, fills, decisions, intents and process starts seen.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.differences: list[Difference] = []
        self.counts = dict.fromkeys(("lines", "starts", "bars", "fills", "decisions", "intents"), 0)
        self.bot_name = ""
        self._bot: Bot | None = None
        self._other_code = False
        self._changed = False

    def run(self) -> Replay:
        """Fold the whole log.

        Raises:
            CorruptData: the file is no session, or does not begin with a start.
        """
        for line in read_session(self.path):
            self._take(line)
        if not self.counts["starts"]:
            raise CorruptData(f"{self.path} holds no start of a bot: it is empty or was cut; record the session anew")
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values; the first differences in full."""
        return {
            "log": str(self.path),
            "bot": self.bot_name,
            **self.counts,
            "ok": not self.differences,
            "difference_count": len(self.differences),
            "differences": [asdict(one) for one in self.differences[:_SHOWN]],
        }

    def _take(self, line: Line) -> None:
        self.counts["lines"] += 1
        if not line.linked:
            self._changed = True
            self._differ(line, "log", "", "", "", "this line or the one before it was changed, left out or moved")
        if isinstance(line.saw, Start):
            self._begin(line.saw)
            return
        if self._bot is None:
            raise CorruptData(f"{self.path}, line {line.number}: the log does not begin with a start; record it anew")
        self._count(line.saw)
        try:
            done = self._bot.take(line.saw)
        except (CorruptData, InvariantBroken) as error:
            self._differ(line, "refused", "", "taken", str(error), self._cause())
            return
        self._compare(line, done)

    def _begin(self, start: Start) -> None:
        state = BotState.load(start.state or None, start.charter.capital)
        self._bot = Bot(start.charter, start.instrument, state)
        self.bot_name = start.charter.bot
        self.counts["starts"] += 1
        self._other_code = code_of(self._bot.strategy.signals) != start.code

    def _count(self, saw: Seen) -> None:
        self.counts["bars"] += isinstance(saw, Closed | History)
        self.counts["fills"] += isinstance(saw, Filled)
        self.counts["decisions"] += isinstance(saw, Closed | Again)

    def _compare(self, line: Line, done: Done) -> None:
        again = tuple(wire_text(intent) for intent in done.intents)
        self.counts["intents"] += len(again)
        for recorded, replayed in _paired(line.intents, again):
            if recorded != replayed:
                self._differ(line, "intent", *_first_field(recorded, replayed), self._cause())
        decision = wire_text(done.made) if done.made is not None else ""
        if decision != line.decision:
            self._differ(line, "decision", *_first_field(line.decision, decision), self._cause())

    def _differ(self, line: Line, what: str, field: str, recorded: str, replayed: str, cause: str) -> None:
        bar = iso(_bar_ns(line.saw, self._bot))
        self.differences.append(Difference(line.number, bar, what, field, recorded, replayed, cause))

    def _cause(self) -> str:
        if self._changed:
            return "the log was changed"
        if self._other_code:
            return "the strategy's code has changed since the recording"
        if self.differences:
            return "follows from the difference before it, or code of the engine has changed since the recording"
        return "code of the engine or the runner has changed since the recording"


def _bar_ns(saw: Start | Seen, bot: Bot | None) -> int:
    match saw:
        case Closed(bar=bar) | History(bar=bar):
            return bar.ts_ns
        case Start() | Changed():
            return 0
    return bot.window.last_ts_ns if bot is not None else 0


def _paired(recorded: Sequence[str], replayed: Sequence[str]) -> Iterable[tuple[str, str]]:
    most = max(len(recorded), len(replayed))
    return zip(_filled(recorded, most), _filled(replayed, most), strict=True)


def _filled(texts: Sequence[str], length: int) -> list[str]:
    return [*texts, *[""] * (length - len(texts))]


def _first_field(recorded: str, replayed: str) -> tuple[str, str, str]:
    """Return the first field in which two JSON texts differ, and both values."""
    if not recorded or not replayed:
        return "", recorded or "none", replayed or "none"
    try:
        one, other = _flat(json.loads(recorded)), _flat(json.loads(replayed))
    except ValueError:
        return "", recorded, replayed
    for name in [*one, *other]:
        if one.get(name) != other.get(name):
            return name, str(one.get(name, "none")), str(other.get(name, "none"))
    return "", recorded, replayed


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, inner in value.items():
            found |= _flat(inner, f"{path}.{key}" if path else str(key))
        return found
    return {path: value}


def sessions_in(place: Path) -> list[Path]:
    """Return the sessions that a path names: itself, or those of a folder.

    Raises:
        ConfigError: there is none.
    """
    if place.is_file():
        return [place]
    found = sorted(place.glob(f"*{SUFFIX}"))
    if not found:
        raise ConfigError(f"{place} holds no session (*{SUFFIX}); record one with `omega up --record {place}`")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Replay what the command line names and print one JSON object; 0 when everything came out the same."""
    parser = argparse.ArgumentParser(prog="python -m services.runner.replay", description="Replay recorded sessions.")
    parser.add_argument("place", type=Path, help="a session, or a folder of sessions")
    place = parser.parse_args(argv).place
    started = time.perf_counter()
    try:
        outcomes = [Replay(path).run().as_json() for path in sessions_in(place)]
    except OmegaError as error:
        print(f"replay: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - the last words of a process
        return error.exit_code
    print(json.dumps(summary(outcomes, time.perf_counter() - started)))  # noqa: T201 - the answer to the caller
    return 0 if all(outcome["ok"] for outcome in outcomes) else 1


def summary(outcomes: Sequence[dict[str, Any]], elapsed_s: float) -> dict[str, Any]:
    """Return the totals over all sessions, and each of them."""
    totals = {name: sum(one[name] for one in outcomes) for name in ("bars", "fills", "decisions", "intents")}
    return {
        **totals,
        "difference_count": sum(one["difference_count"] for one in outcomes),
        "differences": [{"bot": one["bot"]} | found for one in outcomes for found in one["differences"]],
        "ok": all(one["ok"] for one in outcomes),
        "elapsed_s": round(elapsed_s, 3),
        "sessions": list(outcomes),
    }


if __name__ == "__main__":
    sys.exit(main())
