"""The options of a run over history are those of every command that takes them, with one help and one default."""

from __future__ import annotations

from dataclasses import fields

import pytest

from omega.cli.app import tree
from omega.cli.history import Asked

SHARED = [field.name for field in fields(Asked)]


@pytest.mark.parametrize("command", ["backtest", "sweep"])
def test_command_over_history_has_every_shared_option_in_their_order(command: str) -> None:
    options = {one.name: one for one in tree(command).commands[command].params}

    assert [name for name in options if name in SHARED] == SHARED
    assert "run" not in options
    assert all(options[name].help for name in SHARED)
    assert [options[name].default for name in SHARED] == [field.default for field in fields(Asked)]
    assert (options["since"].opts, options["until"].opts, options["values"].opts) == (["--from"], ["--to"], ["--set"])
