"""Every command that a guide or a runbook tells people to type is one that the command line understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer._click.core import Context  # typer carries a click of its own
from typer._click.exceptions import UsageError

from omega.cli.app import build

TREE = typer.main.get_command(build())
ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*(ROOT / "docs/howto").glob("*.md"), *(ROOT / "docs/runbooks").glob("*.md")])
OPERATORS = {"|", ">", ">>", "&&", "||", ";", "&", "<"}
ASSIGNED = re.compile(r"[A-Z_]+=.*")
NAMED = ("...", "…", "NAME", "FILE", "<")
"""What stands for something that the reader must fill in: such a line is not typed as it stands."""


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words after `omega` of every line of a page that is a command."""
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # prose with an apostrophe
            continue
        while words and ASSIGNED.fullmatch(words[0]):
            words = words[1:]
        if not words or words[0] != "omega" or any(mark in word for word in words for mark in NAMED):
            continue
        end = next((at for at, word in enumerate(words) if word in OPERATORS), len(words))
        yield words[1:end]


def understand(words: list[str]) -> None:
    """Parse a command without carrying it out.

    Raises:
        UsageError: there is no such command or option, or an argument is missing.
    """
    command: Any = TREE
    context = Context(command, info_name="omega")
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, list(words))
        assert command is not None
        context = Context(command, parent=context, info_name=name)
    if "--help" not in words:
        command.parse_args(context, list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_docs_commands_are_understood(page: Path) -> None:
    wrong = []
    for words in commands(page.read_text(encoding="utf-8")):
        try:
            understand(words)
        except UsageError as error:
            wrong.append(f"omega {' '.join(words)}: {error}")

    assert wrong == []


def test_docs_check_sees_a_command_that_does_not_exist() -> None:
    [words] = commands("```sh\nOMEGA_ENV=paper omega bot halt --reason 'x' | cat\n```\n")
    understand(words)

    with pytest.raises(UsageError):
        understand(["bot", "dance"])
    with pytest.raises(UsageError):
        understand(["risk", "show", "--sideways"])
