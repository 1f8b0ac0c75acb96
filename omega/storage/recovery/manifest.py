"""What a backup says of itself: files with hashes, the head of the chain, counts. Written last: it proves the rest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from omega.errors import ConfigError, CorruptData
from omega.storage.ledger.archive import file_hash

NAME: Final = "manifest.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class BackedFile:
    """One file of a backup: its path inside, its size in bytes, its SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup.

    Attributes:
        made_ns: when it was begun.
        engine: `sqlite` or `postgresql`.
        revision: of the tables.
        head: of the hash chain, NUMBER:DIGEST.
        rows: by table.
        columns: by table, in the order of the copied tables.
        recorded_ns: the first and the last time of writing in the event table; zeros when it is empty.
        files: everything in it but this manifest.
        redis_keys: keys of the Redis snapshot; -1 when none was taken.
        seconds: how long each part took.
    """

    made_ns: int
    engine: str
    revision: str
    head: str
    rows: dict[str, int]
    columns: dict[str, list[str]]
    recorded_ns: tuple[int, int]
    files: tuple[BackedFile, ...]
    redis_keys: int
    seconds: dict[str, float]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a backup."""
    text = json.dumps({"format": FORMAT} | asdict(manifest), indent=2)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a backup.

    Raises:
        ConfigError: the folder is no backup, or one of a newer version.
    """
    try:
        raw: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if raw.pop("format") != FORMAT:
            raise ConfigError(f"{folder} is a backup of another version: restore it with the version that wrote it")
        files = tuple(BackedFile(**one) for one in raw.pop("files"))
        recorded_ns = tuple(raw.pop("recorded_ns"))
        return Manifest(files=files, recorded_ns=recorded_ns, **raw)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} is no backup ({error}): name a folder that `omega dr backup` made") from error


def files_of(folder: Path) -> tuple[BackedFile, ...]:
    """Return every file of a backup that is being made."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(BackedFile(str(path.relative_to(folder)), path.stat().st_size, file_hash(path)) for path in paths)


def check_files(folder: Path, manifest: Manifest) -> int:
    """Compare every file with the manifest and return the bytes that were read.

    Raises:
        CorruptData: a file is absent or was changed; the first one is named.
    """
    for one in manifest.files:
        path = folder / one.path
        if not path.is_file():
            raise CorruptData(f"backup {folder} lacks {one.path}: use another backup")
        if file_hash(path) != one.sha256:
            raise CorruptData(f"backup {folder}: {one.path} was changed since it was written; use another backup")
    return sum(one.bytes for one in manifest.files)
