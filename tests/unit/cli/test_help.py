"""Every command explains itself with an example, and refuses with the exit codes of the design."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

from omega.cli import app
from omega.cli.app import tree

TREE = tree()
LINES_OF_JSON = {"topics tail", "config schema"}
"""What they print is JSON already."""


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Walk the tree down to the commands that do something."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path
        return
    for name, child in children.items():
        yield from leaves(child, (*path, name))


def call(*words: str) -> tuple[int, str]:
    """Call the tree as it is: typer's own runner would make it anew, from two hundred signatures, for every call."""
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told), pytest.raises(SystemExit) as ended:
        TREE.main(list(words), prog_name="omega")
    return int(ended.value.code or 0), told.getvalue()


COMMANDS = [" ".join(path) for path in leaves(TREE)]


def test_help_tree_holds_every_command_of_the_design() -> None:
    assert {"up", "doctor", "config check", "topics tail", "new bot", "bot pause"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example_of_itself(command: str) -> None:
    code, told = call(*command.split(), "--help")

    assert code == 0
    assert f"omega {command}" in re.sub(r"\s+", " ", told.partition("Example")[2])
    assert "<bool>" not in told, "a switch takes no value"
    assert ("--json" in told.partition("Options")[2]) is (command not in LINES_OF_JSON)


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--nonsense"], ["bot", "pause"], ["up", "--bars", "-1"]])
def test_usage_error_exits_2(arguments: list[str]) -> None:
    assert call(*arguments)[0] == 2


def test_version_is_one_line() -> None:
    code, told = call("--version")

    assert (code, told.count("\n")) == (0, 1)
    assert told.startswith("omega ")


@pytest.mark.parametrize("asks", [{"COMP_WORDS": "omega risk what"}, {"_TYPER_COMPLETE_ARGS": "omega risk what"}])
def test_completion_of_one_command_does_not_import_the_others(
    asks: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person waits for every press of Tab."""
    monkeypatch.setenv("_OMEGA_COMPLETE", "complete_any")
    for name, line in asks.items():
        monkeypatch.setenv(name, line)

    assert app._asked() == "risk"
    assert list(tree("risk").commands) == ["risk"]


@pytest.mark.parametrize("line", ["omega", "omega ri"])
def test_completion_of_the_first_word_offers_every_command(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_OMEGA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)

    assert app._asked() == ""
