"""The append-only log of everything that moved the venue: signed requests, orders by hand, moves of the clock.

The venue is a function of its inputs, so a simulator that was killed replays the log at start and goes on where it was.
Written by the edges after an input has worked and before anybody is told; a line that was torn by a kill is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from omega.errors import ConfigError, EnvironmentFault
from services.simulator.options import SimulatorOptions
from services.simulator.wire_json import BROKEN, dumps, loads


def _digest(key: str) -> str:
    return hashlib.blake2s(key.encode(), digest_size=8).hexdigest()


class Kind(StrEnum):
    """What moved the venue."""

    REST = "rest"
    HAND = "hand"
    STEP = "step"
    STRETCH = "stretch"
    MISHAP = "mishap"


class InputLog:
    """The log of one run; without a path it keeps nothing."""

    def __init__(self, options: SimulatorOptions) -> None:
        self._path = Path(options.state) if options.state else None
        self._header = {
            "seed": options.seed,
            "speed": options.speed,
            "start": options.start,
            "symbols": sorted(options.symbols),
            "slippage": options.slippage,
            # Told apart by a digest: the file is no place for a key, also not for one of a local exchange.
            "accounts": [[spec.uid, _digest(spec.key), str(spec.usdt)] for spec in options.accounts],
        }
        self._file = -1
        self._broken = asyncio.Event()
        self._why = ""

    def open(self) -> list[dict[str, Any]]:
        """Open the log and return the inputs of the run that it continues.

        Raises:
            ConfigError: the file belongs to a run with other options.
            EnvironmentFault: the file cannot be written.
        """
        if self._path is None:
            return []
        found = list(self._whole_lines())
        if found and found[0] != self._header:
            raise ConfigError(
                f"{self._path} continues a simulator with other options ({dumps(found[0])}): start with those, or "
                "remove the file to start anew"
            )
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise EnvironmentFault(
                f"the simulator cannot keep its state in {self._path}: {error.strerror}. Make the folder writable or "
                "choose another file."
            ) from error
        if not found:
            os.ftruncate(self._file, 0)
            self._write(self._header)
        return found[1:]

    def _whole_lines(self) -> Iterator[dict[str, Any]]:
        if self._path is None or not self._path.exists():
            return
        kept = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                try:
                    value = loads(line)
                except BROKEN:
                    break
                kept += len(line)
                yield value
        if kept < self._path.stat().st_size:
            os.truncate(self._path, kept)

    def note(self, kind: Kind, **values: Any) -> None:
        """Append one input. It survives the death of the process, not of the machine."""
        if self._file >= 0:
            self._write({"kind": kind, **values})

    def _write(self, value: dict[str, Any]) -> None:
        text = f"{dumps(value)}\n".encode()
        try:
            written = os.write(self._file, text)
        except OSError as error:
            raise self._full(error.strerror or str(error)) from error
        if written != len(text):
            raise self._full("the disk is full")

    def _full(self, why: str) -> EnvironmentFault:
        self._why = f"the simulator cannot write {self._path}: {why}. Free space and start it again."
        self._broken.set()
        return EnvironmentFault(self._why)

    async def watch(self) -> None:
        """Wait until the log cannot be written any more; the simulator must end then.

        Raises:
            EnvironmentFault: always, when that happens.
        """
        await self._broken.wait()
        raise EnvironmentFault(self._why)

    def restart(self) -> None:
        """Forget the inputs so far: the venue went back to its start."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            self._write(self._header)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
