"""Every command explains itself with an example, and refuses with the exit codes of the design."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from omega.cli.app import build

RUNNER = CliRunner()
APP = build()


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Walk the tree down to the commands that do something."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path
        return
    for name, child in children.items():
        yield from leaves(child, (*path, name))


COMMANDS = [" ".join(path) for path in leaves(typer.main.get_command(APP))]


def test_help_tree_holds_every_command_of_the_design() -> None:
    assert {"up", "doctor", "config check", "topics tail", "new bot", "bot pause"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example_of_itself(command: str) -> None:
    told = RUNNER.invoke(APP, [*command.split(), "--help"])

    assert told.exit_code == 0
    assert f"omega {command}" in re.sub(r"\s+", " ", told.output.partition("Example")[2])


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--nonsense"], ["bot", "pause"], ["up", "--bars", "-1"]])
def test_usage_error_exits_2(arguments: list[str]) -> None:
    assert RUNNER.invoke(APP, arguments).exit_code == 2


def test_version_is_one_line() -> None:
    told = RUNNER.invoke(APP, ["--version"])

    assert (told.exit_code, told.output.count("\n")) == (0, 1)
    assert told.output.startswith("omega ")
