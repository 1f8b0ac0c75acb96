"""A command's row fits its table whatever the verb needs beside its reason."""

from __future__ import annotations

from omega.bus import Command, Envelope, Verb
from omega.storage.ledger.rows import command_row


def row_of(command: Command) -> dict[str, object]:
    return command_row(Envelope("id", "command", 1, 5, "cli", 0, 1, "", "", "k", 0, "", command), command)


def test_command_row_holds_what_was_asked_beside_the_reason() -> None:
    adopt = row_of(Command("c1", Verb.ADOPT, "fib-btc", "ann", "by hand", {"symbol": "BTC-USDT.P", "stop": "9"}))
    pause = row_of(Command("c2", Verb.PAUSE, "fib-btc", "ann", "lunch"))

    assert set(adopt) == set(pause) == {"command_id", "verb", "target", "actor", "reason", "ts_ns"}
    assert adopt["reason"] == "by hand (symbol BTC-USDT.P, stop 9)"
    assert pause["reason"] == "lunch"
