"""The halt of entries: latched, written down, lifted by a named person alone.

Set by commands, risk, look-ups and the kill switch. Three places hold it: the journal (truth of this process), the
halt file beside it (a person's hand, works without Redis), and a key on the bus (for the others). While any of them
says halted, entries are refused; exits and stops go on.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from omega.bus.messages import HaltChanged
from services.gateway.journal import Journal

_log = structlog.get_logger(__name__)
_KEY = "halt"


class Halt:
    """Whether entries are halted, and why."""

    def __init__(self, journal: Journal, file: str | Path, *, venue: str, account: str) -> None:
        self._journal = journal
        self._file = Path(file)
        self._venue = venue
        self._account = account
        self._reason = ""

    def load(self) -> None:
        """Read the latch from the journal, after it was opened."""
        self._reason = self._journal.get(_KEY)

    @property
    def active(self) -> bool:
        """Tell whether entries are refused."""
        return bool(self._reason) or self._file.exists()

    @property
    def reason(self) -> str:
        """Why entries are halted, empty when they are not."""
        if self._reason:
            return self._reason
        return f"halt file {self._file}" if self._file.exists() else ""

    def set(self, reason: str, *, by: str, ts_ns: int) -> bool:
        """Halt entries; False when they were halted before."""
        if self._reason:
            return False
        with self._journal.transaction():
            self._journal.put(_KEY, reason)
            self._tell(halted=True, reason=reason, by=by, ts_ns=ts_ns)
        self._reason = reason
        self._touch(reason)
        _log.error("entries.halted", account=self._account, reason=reason, by=by)
        return True

    def latch(self, reason: str) -> None:
        """Halt entries without the journal, which cannot be written."""
        if not self._reason:
            self._reason = reason
            self._touch(reason)
            _log.error("entries.halted", account=self._account, reason=reason, by="gateway")

    def release(self, reason: str, *, by: str, ts_ns: int) -> bool:
        """Lift the halt and take the halt file away; False when there was none."""
        if not self.active:
            return False
        self._reason = ""
        self._file.unlink(missing_ok=True)
        with self._journal.transaction():
            self._journal.put(_KEY, "")
            self._tell(halted=False, reason=reason, by=by, ts_ns=ts_ns)
        _log.warning("entries.released", account=self._account, reason=reason, by=by)
        return True

    def _touch(self, reason: str) -> None:
        """Leave the file too, so that the halt survives a lost journal; a full disk does not hinder the halt itself."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(f"{reason}\n", encoding="utf-8")
        except OSError as error:
            _log.warning("halt_file.not_written", path=str(self._file), error=str(error))

    def _tell(self, *, halted: bool, reason: str, by: str, ts_ns: int) -> None:
        message = HaltChanged(self._venue, self._account, halted, reason, by, ts_ns)
        self._journal.emit(f"halt:{self._venue}:{self._account}:{ts_ns}", message)
