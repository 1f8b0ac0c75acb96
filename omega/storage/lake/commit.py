"""Several files of a folder replaced as one: after a kill the folder reads as before or as after, never half.

New files are written beside the old ones and synced; a journal that names them is put in place by one rename, which is
the moment of the change; then each file takes its name. Readers follow the journal of a writer that died on the way.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from omega.errors import EnvironmentFault, TransientError

_JOURNAL: Final = ".journal"
_NEW: Final = ".new"
_READERS: Final = ".lock"
_WRITER: Final = ".writer"


class Commit:
    """New files for a folder; nothing is seen of them until `publish`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staged: list[str] = []

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Write the coming content of a file and sync it.

        Raises:
            EnvironmentFault: the disk is full or the folder cannot be written; what was staged is taken away.
        """
        self._staged.append(name)
        with self._or_nothing():
            _write_synced(self._folder / f"{name}{_NEW}", fill)

    def publish(self) -> None:
        """Let all staged files take their names.

        Raises:
            EnvironmentFault: the journal cannot be written; the folder is as before.
        """
        if not self._staged:
            return
        with _locked(self._folder / _READERS, fcntl.LOCK_EX):
            with self._or_nothing():
                journal = self._folder / f"{_JOURNAL}{_NEW}"
                _write_synced(journal, lambda file: file.write(json.dumps(self._staged).encode()))
                journal.replace(self._folder / _JOURNAL)
            # From here on the staged files are the folder's: nobody may take them away.
            self._staged.clear()
            _sync_folder(self._folder)
            _carry_out(self._folder)

    def abandon(self) -> None:
        """Take the staged files away; the folder is as before."""
        for name in [*self._staged, _JOURNAL]:
            with suppress(FileNotFoundError):
                (self._folder / f"{name}{_NEW}").unlink()
        self._staged.clear()

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abandon()
            raise EnvironmentFault(
                f"cannot write {self._folder}: {error.strerror or error}. Nothing was changed; free space or choose "
                "another place, then run the same command again"
            ) from error


@contextmanager
def writing(folder: Path) -> Iterator[Commit]:
    """Give the one writer of a folder its commit; what it did not publish is taken away.

    Raises:
        EnvironmentFault: the folder cannot be made or written.
        TransientError: another process writes there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _WRITER, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write {folder}: {error.strerror}. Make it writable or choose another"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TransientError(f"another process writes {folder}: wait until it has ended, then try again") from None
        _clean(folder)
        commit = Commit(folder)
        try:
            yield commit
        finally:
            commit.abandon()
    finally:
        os.close(lock)


@contextmanager
def reading(folder: Path) -> Iterator[dict[str, Path]]:
    """Give the files of a folder by name, as the last commit left them; nothing changes before the block ends."""
    with _locked(folder / _READERS, fcntl.LOCK_SH):
        yield _current(folder)


def _current(folder: Path) -> dict[str, Path]:
    try:
        files = {path.name: path for path in folder.iterdir() if not path.name.startswith(".")}
    except FileNotFoundError:
        return {}
    found = {name: path for name, path in files.items() if not name.endswith(_NEW)}
    # A writer died after its journal: the files that it names are the ones that count.
    for name in _journalled(folder):
        staged = folder / f"{name}{_NEW}"
        if staged.exists():
            found[name] = staged
    return found


def _journalled(folder: Path) -> list[str]:
    try:
        names: list[str] = json.loads((folder / _JOURNAL).read_bytes())
    except FileNotFoundError:
        return []
    return names


def _carry_out(folder: Path) -> None:
    for name in _journalled(folder):
        with suppress(FileNotFoundError):
            (folder / f"{name}{_NEW}").replace(folder / name)
    _sync_folder(folder)
    (folder / _JOURNAL).unlink(missing_ok=True)
    _sync_folder(folder)


def _clean(folder: Path) -> None:
    """Finish or forget what a writer that died has left."""
    with _locked(folder / _READERS, fcntl.LOCK_EX):
        _carry_out(folder)
    for path in folder.glob(f"*{_NEW}"):
        path.unlink(missing_ok=True)
    (folder / f"{_JOURNAL}{_NEW}").unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    try:
        lock = os.open(path, os.O_RDONLY if how == fcntl.LOCK_SH else os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:  # nobody has ever written here
        yield
        return
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _write_synced(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    with path.open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
