"""Runs one service in a child process of the lab: `python -m omega.chaos.child services.NAME`.

The service is the shipped one. Before it starts, the child hooks the named points of the order path (the lab arms a
point by writing a file), lets the disk model watch the journal, and takes out the guards that the lab switched off.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from omega.chaos.disk import watch
from omega.chaos.guards import GUARDS, patch

HOME: Final = "CHAOS_HOME"
NAME: Final = "CHAOS_NAME"
WITHOUT: Final = "CHAOS_WITHOUT"
JOURNAL: Final = "CHAOS_JOURNAL"
_ON_THE_WIRE_S: Final = 0.02
"""How long a request is given to reach a venue on this machine."""
_SIGNALS: Final = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP}


def armed_file(home: Path, name: str, point: str) -> Path:
    """Return the file that arms a point of a process; its text says what happens there."""
    return home / f"{name}.{point}.armed"


class Points:
    """The named points that this process passes."""

    def __init__(self, home: Path, name: str) -> None:
        self._home = home
        self._name = name

    def reach(self, point: str) -> None:
        """Die or stand still here when the lab has armed the point."""
        file = armed_file(self._home, self._name, point)
        if file.exists():
            what = file.read_text(encoding="ascii")
            file.unlink()
            os.kill(os.getpid(), _SIGNALS[what])

    def hook(self, service: str) -> None:
        """Hook the points of a service."""
        hooks: dict[str, Callable[[], None]] = {
            "services.gateway": self._gateway,
            "services.runner": self._runner,
            "services.ledger": self._ledger,
        }
        hooks.get(service, lambda: None)()

    def _gateway(self) -> None:
        def accept(plain: Any) -> Any:
            def accepted(path: Any, intents: Any) -> Any:
                given = list(intents)
                if given:
                    self.reach("before_journal")
                return plain(path, given)

            return accepted

        def send(plain: Any) -> Any:
            async def sent(outbox: Any, item: Any) -> Any:
                done = await plain(outbox, item)
                self.reach("after_event")
                return done

            return sent

        patch("services.gateway.orderpath:OrderPath.accept", accept)
        patch("services.gateway.outbox:Outbox._send", send)
        patch("services.gateway.service:open_venue", self._venue)

    def _venue(self, plain: Any) -> Any:
        def opened(settings: Any) -> Any:
            venue = plain(settings)
            once = venue.place

            async def placed(request: Any) -> Any:
                self.reach("after_journal")
                ack = await once(replace(request, handed=self._handed(request.handed)))
                self.reach("after_answer")
                return ack

            venue.place = placed
            return venue

        return opened

    def _handed(self, plain: Any) -> Any:
        def handed(sent_ns: int) -> None:
            if plain is not None:
                plain(sent_ns)
            asyncio.get_running_loop().call_later(_ON_THE_WIRE_S, self.reach, "after_send")

        return handed

    def _runner(self) -> None:
        def decision(plain: Any) -> Any:
            async def decided(sender: Any, made: Any, intents: Any, *given: Any, **more: Any) -> Any:
                if intents:
                    self.reach("before_intent")
                done = await plain(sender, made, intents, *given, **more)
                if intents:
                    self.reach("after_intent")
                return done

            return decided

        patch("services.runner.sending:Sender.decision", decision)

    def _ledger(self) -> None:
        def write(plain: Any) -> Any:
            async def written(ledger: Any, batch: Any) -> Any:
                done = await plain(ledger, batch)
                self.reach("after_commit")
                return done

            return written

        patch("services.ledger.service:LedgerService._write", write)


def main() -> None:
    """Prepare this process and become the service that the last argument names."""
    service = sys.argv[-1]
    kind = service.removeprefix("services.")
    if kind == "gateway":
        home = Path(os.environ[HOME])
        watch(Path(os.environ[JOURNAL]), home / "journal.synced")
    for name in filter(None, os.environ.get(WITHOUT, "").split(",")):
        take_out = GUARDS[name].patches.get(kind)
        if take_out is not None:
            take_out()
            sys.stderr.write(f"chaos: {kind} runs without {name}\n")
    Points(Path(os.environ[HOME]), os.environ[NAME]).hook(service)
    sys.argv = [service]
    runpy.run_module(service, run_name="__main__", alter_sys=True)


__all__ = ["Points", "armed_file", "main"]

if __name__ == "__main__":
    main()
