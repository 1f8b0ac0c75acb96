"""Hot reload: watch, validate the whole, apply what may be applied, keep the last good one. Run by BaseService."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from omega.config.change import AT_ONCE, BETWEEN_BARS, Change
from omega.config.loader import Loaded
from omega.config.models import Settings
from omega.errors import ConfigError
from omega.telemetry import get_logger

logger = get_logger(__name__)

CHECK_S = 60.0
"""Time between two looks at the content itself: the belt beside the watch."""
SETTLE_MS = 200

Apply = Callable[[Change], Awaitable[None]]
Reject = Callable[[str], Awaitable[None]]


class Reloader:
    """Follows the files behind a loaded configuration.

    A ConfigMap is watched as a directory, for the swap of its `..data` link: a watch of the file itself fires only
    when the old directory is deleted.
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
        """Watch until cancelled."""
        from watchfiles import awatch

        directories = [directory for directory in self.loaded.directories if directory.is_dir()]
        if not directories:
            return
        watch = awatch(
            *directories,
            watch_filter=_matters,
            step=SETTLE_MS,
            yield_on_timeout=True,
            rust_timeout=int(self._check_s * 1000),
            recursive=True,
        )
        async for _ in watch:
            await self.check()

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


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # swapped away while we look: the next event brings the new one
        return b""


def _matters(_change: object, path: str) -> bool:
    name = Path(path).name
    return name == "..data" or name.endswith((".yaml", ".yml")) or ("__" in name and not name.startswith("."))
