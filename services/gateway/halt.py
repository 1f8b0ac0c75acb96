"""The halts of entries: latched, written down, lifted by a named person alone. Of the account, or of one scope on it.

Set by commands, risk limits, look-ups and the kill switch. Three places hold the account's halt: the journal (truth of
this process), the halt file beside it (a person's hand, works without Redis), and a key on the bus (for the others).
While any of them says halted, entries are refused; exits and stops go on. A halt of a narrower scope is in the journal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from omega.bus.messages import HaltChanged
from omega.telemetry import get_logger
from services.gateway.journal import Journal
from services.gateway.risk.scopes import Entity, Scope

_log = get_logger(__name__)
_KEY = "halt"
_SCOPED = "halts"


class Level(StrEnum):
    """What a halt does to its scope."""

    REDUCE_ONLY = "reduce_only"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True)
class Latch:
    """One halt of one scope."""

    entity: Entity
    level: Level
    reason: str
    by: str
    ts_ns: int


class Halt:
    """Whether entries are halted, of whom, and why."""

    def __init__(self, journal: Journal, file: str | Path, *, venue: str, account: str) -> None:
        self._journal = journal
        self._file = Path(file)
        self._venue = venue
        self._account = account
        self._whole = Entity(Scope.ACCOUNT, account)
        self._latches: dict[Entity, Latch] = {}
        self._unwritten = False
        self.on_release: Callable[[Entity], None] = lambda _entity: None
        """Hears whose halt a person has lifted."""

    def load(self) -> None:
        """Read the latches from the journal, after it was opened."""
        rows = json.loads(self._journal.get(_SCOPED, "[]"))
        latches = [Latch(Entity(Scope(row[0]), row[1]), Level(row[2]), row[3], row[4], row[5]) for row in rows]
        self._latches = {latch.entity: latch for latch in latches}
        reason = self._journal.get(_KEY)
        if not reason:
            self._latches.pop(self._whole, None)
        elif self._whole not in self._latches:
            self._latches[self._whole] = Latch(self._whole, Level.REDUCE_ONLY, reason, "journal", 0)

    @property
    def active(self) -> bool:
        """Tell whether the entries of the whole account are refused."""
        return self._whole in self._latches or self._file.exists()

    @property
    def reason(self) -> str:
        """Why the account's entries are halted, empty when they are not."""
        latch = self._latches.get(self._whole)
        if latch is not None:
            return latch.reason
        return f"halt file {self._file}" if self._file.exists() else ""

    @property
    def latches(self) -> list[Latch]:
        """Every halt that is latched, the account's own among them."""
        return list(self._latches.values())

    def over(self, entities: Iterable[Entity]) -> Latch | None:
        """Return a halt over any of these scopes."""
        return next((self._latches[entity] for entity in entities if entity in self._latches), None)

    def set(
        self, reason: str, *, by: str, ts_ns: int, entity: Entity | None = None, level: Level = Level.REDUCE_ONLY
    ) -> bool:
        """Halt the entries of the account or of one scope; False when they were halted as far before."""
        entity = entity or self._whole
        old = None if self._unwritten and entity == self._whole else self._latches.get(entity)
        if old is not None and level in {old.level, Level.REDUCE_ONLY}:
            return False
        latch = Latch(entity, level, reason, by, ts_ns)
        with self._journal.transaction():
            self._keep({**self._latches, entity: latch})
            self._tell(latch, halted=True, reason=reason, by=by, ts_ns=ts_ns)
        self._latches[entity] = latch
        if entity == self._whole:
            self._unwritten = False
            self._touch(reason)
        _log.error("entries.halted", account=self._account, scope=str(entity), level=level, reason=reason, by=by)
        return True

    def latch(self, reason: str) -> None:
        """Halt entries without the journal, which cannot be written."""
        if self._whole not in self._latches:
            self._latches[self._whole] = Latch(self._whole, Level.REDUCE_ONLY, reason, "gateway", 0)
            self._unwritten = True
            self._touch(reason)
            _log.error("entries.halted", account=self._account, reason=reason, by="gateway")

    def settle(self, *, ts_ns: int) -> None:
        """Write down a halt that was latched while the journal could not be written: a restart must not forget it.

        Raises:
            EnvironmentFault: it still cannot.
        """
        if self._unwritten:
            self.set(self._latches[self._whole].reason, by="gateway", ts_ns=ts_ns)

    def release(self, reason: str, *, by: str, ts_ns: int, entity: Entity | None = None) -> bool:
        """Lift the halt of the account (and take the halt file away) or of one scope; False when there was none."""
        entity = entity or self._whole
        latch = self._latches.get(entity)
        if latch is None and not (entity == self._whole and self.active):
            return False
        left = {other: kept for other, kept in self._latches.items() if other != entity}
        with self._journal.transaction():
            self._keep(left)
            told = latch or Latch(entity, Level.REDUCE_ONLY, reason, by, ts_ns)
            self._tell(told, halted=False, reason=reason, by=by, ts_ns=ts_ns)
        self._latches = left
        if entity == self._whole:
            self._unwritten = False
            self._file.unlink(missing_ok=True)
        self.on_release(entity)
        _log.warning("entries.released", account=self._account, scope=str(entity), reason=reason, by=by)
        return True

    def _keep(self, latches: dict[Entity, Latch]) -> None:
        whole = latches.get(self._whole)
        self._journal.put(_KEY, whole.reason if whole is not None else "")
        rows = [[*latch.entity, latch.level, latch.reason, latch.by, latch.ts_ns] for latch in latches.values()]
        self._journal.put(_SCOPED, json.dumps(rows))

    def _touch(self, reason: str) -> None:
        """Leave the file too, so that the halt survives a lost journal; a full disk does not hinder the halt itself."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(f"{reason}\n", encoding="utf-8")
        except OSError as error:
            _log.warning("halt_file.not_written", path=str(self._file), error=str(error))

    def _tell(self, latch: Latch, *, halted: bool, reason: str, by: str, ts_ns: int) -> None:
        scope, name = latch.entity
        message = HaltChanged(
            self._venue, self._account, halted, reason, by, ts_ns, scope.value, name, latch.level.value
        )
        self._journal.emit(f"halt:{self._venue}:{self._account}:{scope}:{name}:{ts_ns}", message)
