"""Proving the chain: every link of archive and table, its head, heads kept elsewhere. Behind `omega audit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.errors import ConfigError, CorruptData
from omega.storage.ledger.archive import Progress, Row, archive_rows, check_file, file_rows, nothing, table_rows
from omega.storage.ledger.chain import GENESIS, Head, head, link
from omega.storage.tables import events

_KEPT: Final = 100
_DIGEST_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """One break of the chain.

    Attributes:
        kind: broken (changed, put in or moved), missing, doubled, truncated, rewritten, archive.
        number: the record it is at.
        message_id: of that record; empty when it is not there.
        words: what is wrong and what to do.
    """

    kind: str
    number: int
    message_id: str
    words: str


@dataclass(slots=True)
class Verdict:
    """What came of a proof.

    Attributes:
        records: links that were computed.
        archived: of them, how many from files.
        head: the last link that was read.
        findings: the first breaks, in the order of the chain; empty when it is whole.
        breaks: how many there are.
    """

    records: int = 0
    archived: int = 0
    head: Head = field(default_factory=Head)
    findings: list[Finding] = field(default_factory=list)
    breaks: int = 0

    def add(self, kind: str, number: int, message_id: str, words: str) -> None:
        """Note a break."""
        self.breaks += 1
        if len(self.findings) < _KEPT:
            self.findings.append(Finding(kind, number, message_id, words))


def parse_head(text: str) -> Head:
    """Read a head as `omega audit head` prints it: NUMBER:DIGEST.

    Raises:
        ConfigError: it is none.
    """
    number, _, digest = text.strip().partition(":")
    if not number.isdigit() or len(digest) != _DIGEST_LENGTH or not set(digest) <= set("0123456789abcdef"):
        raise ConfigError(f"{text.strip()!r} is no head: write NUMBER:DIGEST as `omega audit head` prints it")
    return Head(int(number), 0, bytes.fromhex(digest))


async def verify(
    connection: AsyncConnection,
    *,
    archive: Path,
    anchors: Mapping[int, bytes] | None = None,
    progress: Progress = nothing,
) -> Verdict:
    """Compute every link from the first record on and compare it with what is stored.

    Args:
        connection: of a snapshot.
        archive: the folder of the archived months.
        anchors: digests by number that were kept elsewhere.
        progress: told how far it is.
    """
    proof = _Proof(dict(anchors or {}))
    stored = await head(connection)
    count = (await connection.execute(select(func.count()).select_from(events))).scalar_one()
    months = await archive_rows(connection)
    of = count + sum(row["last"] - row["first"] + 1 for row in months)
    for month in months:
        _month(proof, month, archive / month["file"], lambda done: progress(done, of))
    async for page in table_rows(connection):
        proof.take(page)
        progress(proof.verdict.records, of)
    proof.finish(stored)
    return proof.verdict


class _Proof:
    """The walk along the chain; behind a break it goes on from what is stored there."""

    def __init__(self, anchors: dict[int, bytes]) -> None:
        self.verdict = Verdict()
        self._anchors = anchors
        self._number, self._recorded_ns, self._digest = 0, 0, GENESIS

    def take(self, page: list[Row]) -> None:
        for row in page:
            self._take(row)
        self.verdict.records += len(page)
        self.verdict.head = Head(self._number, self._recorded_ns, self._digest)

    def skip(self, month: Row) -> None:
        """Go on behind a month whose file is lost."""
        self._number, self._digest = month["last"], month["digest"]
        self._recorded_ns = month["recorded_ns"]

    def starts_as(self, month: Row) -> bool:
        """Tell whether an archived month follows what was read so far."""
        return bool(month["before"] == self._digest and month["first"] == self._number + 1)

    def ends_as(self, month: Row) -> bool:
        """Tell whether it ended as the database says."""
        return bool(month["digest"] == self._digest and month["last"] == self._number)

    def _take(self, row: Row) -> None:
        number, expected = row["number"], self._number + 1
        name = row["message_id"]
        if number > expected:
            missing = f"{expected}" if number == expected + 1 else f"{expected} to {number - 1}"
            self.verdict.add("missing", expected, "", f"record {missing} is not there; restore it from a backup")
        elif number < expected:
            self.verdict.add("doubled", number, name, f"a second record {number} was put in")
        elif link(self._digest, row) != row["digest"]:
            self.verdict.add(
                "broken", number, name, f"record {number} is not what was written down: changed, put in or moved"
            )
        self._anchored(number, name, row["digest"])
        self._number, self._recorded_ns, self._digest = number, row["recorded_ns"], row["digest"]

    def _anchored(self, number: int, name: str, digest: bytes) -> None:
        if self._anchors.pop(number, digest) != digest:
            words = f"record {number} has another digest than the head that was kept: the chain was written anew"
            self.verdict.add("rewritten", number, name, words)

    def finish(self, stored: Head) -> None:
        """Compare the end with the head that the database names and with heads beyond it."""
        if stored.number != self._number or stored.digest != self._digest:
            first = min(stored.number, self._number) + 1
            words = f"the chain ends at record {self._number}, its head says {stored.number}: cut off or changed"
            self.verdict.add("truncated", first, "", words)
        for number in sorted(self._anchors):
            words = f"record {number} was there when its head was kept and is gone: the end was cut off"
            self.verdict.add("truncated", number, "", words)


def _month(proof: _Proof, month: Row, path: Path, progress: Any) -> None:
    if not proof.starts_as(month):
        words = f"the archived month {month['month']} does not follow what is before it"
        proof.verdict.add("archive", month["first"], "", words)
    try:
        check_file(path, month)
    except CorruptData as error:
        proof.verdict.add("archive", month["first"], "", str(error))
    try:
        for page in file_rows(path):
            proof.take(page)
            proof.verdict.archived += len(page)
            progress(proof.verdict.records)
    except CorruptData:
        proof.skip(month)
        return
    if not proof.ends_as(month):
        words = f"the archived month {month['month']} does not end as it was written"
        proof.verdict.add("archive", month["last"], "", words)
