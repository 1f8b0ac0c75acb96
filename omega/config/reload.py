"""Hot reload: watch, validate the whole, apply what may be applied, keep the last good one. Run by BaseService."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from omega.config.change import AT_ONCE, BETWEEN_BARS, Change
from omega.config.loader import Loaded
from omega.config.models import Settings
from omega.errors import ConfigError
from omega.telemetry import get_logger

logger = get_logger(__name__)

LOOK_S = 1.0
"""Time between two looks at names and times; what changes between two of them is not complete yet."""
CHECK_S = 60.0
"""Time between two looks at the content itself, for a file system that keeps no times."""

Apply = Callable[[Change], Awaitable[None]]
Reject = Callable[[str], Awaitable[None]]


class Reloader:
    """Follows the files behind a loaded configuration.

    A ConfigMap's files are links through its `..data` link: when that is swapped, each of them becomes another file.
    Every process of a farm watches; a look at some thirty files costs less than a library and a thread for it.
    """

    def __init__(self, loaded: Loaded, *, check_s: float = CHECK_S) -> None:
        self.loaded = loaded
        self.settings: Settings = loaded.settings
        self.generation = 1
        self.rejected = 0
        self._check_s = check_s
        self._wanted: Settings = loaded.settings
        self._content = content_hash(loaded.directories)
        self._apply: Apply | None = None
        self._reject: Reject | None = None
        self._at_bar = False
        self._turn = asyncio.Lock()

    def bind(self, *, apply: Apply, reject: Reject, at_bar: bool) -> None:
        """Say who takes changes, who hears of refusals, and whether bar settings wait for `at_bar`."""
        self._apply, self._reject, self._at_bar = apply, reject, at_bar

    @property
    def waiting(self) -> bool:
        """Tell whether settings wait for the boundary between two bars."""
        return self._wanted is not self.settings

    async def run(self) -> None:
        """Watch until cancelled: look at names and times, and at the content itself when these have come to rest."""
        directories = [directory for directory in self.loaded.directories if directory.is_dir()]
        if not directories:
            return
        read, before, until = marks(directories), marks(directories), time.monotonic() + self._check_s
        await self.check()  # what was written between the load and the first look
        while True:
            await asyncio.sleep(LOOK_S)
            now = marks(directories)
            if (now != read and now == before) or time.monotonic() >= until:
                read, until = now, time.monotonic() + self._check_s
                await self.check()
            before = now

    async def check(self) -> bool:
        """Read everything again when the content has changed; tell whether a new configuration is in force."""
        async with self._turn:
            content = content_hash(self.loaded.directories)
            if content == self._content:
                return False
            self._content = content
            try:
                loaded = self.loaded.again()
            except ConfigError as error:
                return await self._refuse(str(error))
            self._wanted = loaded.settings
            self.loaded = loaded
            return await self._take(AT_ONCE if self._at_bar else BETWEEN_BARS)

    async def at_bar(self) -> bool:
        """Apply what waits for the boundary between two bars."""
        async with self._turn:
            return await self._take(BETWEEN_BARS)

    async def _take(self, classes: frozenset[object]) -> bool:
        change = Change.between(self.settings, self._wanted, BETWEEN_BARS if classes == BETWEEN_BARS else AT_ONCE)
        if not change.differences:
            self._wanted = self.settings
            return False
        if change.restart:
            logger.warning("config.restart_required", fields=change.restart)
        try:
            if self._apply is not None:
                await self._apply(change)
        except ConfigError as error:
            self._wanted = self.settings
            return await self._refuse(str(error))
        self.settings = change.settings
        if not change.waiting:
            self._wanted = self.settings
        self.generation += 1
        return bool(change.changed)

    async def _refuse(self, error: str) -> bool:
        self.rejected += 1
        if self._reject is not None:
            await self._reject(f"{error}. The last good configuration stays in force")
        return False


def content_hash(directories: tuple[Path, ...]) -> str:
    """Return a hash of names and contents of every settings and secret file."""
    digest = hashlib.blake2s()
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            if any(part.startswith(".") for part in path.relative_to(directory).parts) or not path.is_file():
                continue
            digest.update(str(path.relative_to(directory)).encode())
            digest.update(_bytes(path))
    return digest.hexdigest()


def marks(directories: Iterable[Path]) -> tuple[tuple[str, int, int, int], ...]:
    """Return path, inode, size and time of every settings and secret file: they change with its content."""
    found: list[tuple[str, int, int, int]] = []
    for directory in directories:
        _mark(str(directory), found)
    return tuple(sorted(found))


def _mark(directory: str, found: list[tuple[str, int, int, int]]) -> None:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    _mark(entry.path, found)
                    continue
                stat = entry.stat()
                found.append((entry.path, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except OSError:  # swapped away while we look: the next look finds the new one
        return


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # swapped away while we look: the next event brings the new one
        return b""
