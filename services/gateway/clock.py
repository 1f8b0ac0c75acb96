"""How far this machine's clock lies from the venue's: signatures carry the time, and a venue refuses a wrong one.

Measured by a public read, told as a metric; entries are refused beyond a bound, before a venue refuses the exits too.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from omega.domain import SECOND_NS, Intent
from omega.errors import OmegaError
from omega.telemetry import get_logger
from services.gateway.account import Account

_EVERY_S: Final = 10.0
"""Below the fifteen seconds after which an HTTP client drops a connection that nobody uses: orders find it open."""
_SOON_S: Final = 2.0

_log = get_logger(__name__)


class ClockWatch:
    """Measures the skew.

    Attributes:
        skew_s: the venue's clock minus ours at the middle of the last measurement, in seconds.
        doubt_s: half the time that it took, by which the skew may be wrong.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self.skew_s = 0.0
        self.doubt_s = 0.0
        self._beyond = False

    async def run(self) -> None:
        """Measure again and again, until cancelled; sooner while the clock is wrong."""
        while True:
            try:
                await self.measure()
            except OmegaError as error:
                _log.info("clock.not_measured", why=str(error)[:200])
            await asyncio.sleep(_SOON_S if self._beyond else _EVERY_S)

    async def measure(self) -> float:
        """Measure once and return the skew in seconds.

        Raises:
            OmegaError: the venue does not tell its time.
        """
        account = self._account
        async with account.turns.market():
            began = time.time_ns()
            theirs = await account.venue.time_ns()
            ended = time.time_ns()
        self.skew_s = (theirs - (began + ended) // 2) / SECOND_NS
        self.doubt_s = (ended - began) / 2 / SECOND_NS
        account.metrics.gauge("clock_skew_seconds").labels(*account.labels).set(self.skew_s)
        beyond = self._proven_s() > account.settings.gateway.clock_skew_s
        if beyond is not self._beyond:
            write = _log.error if beyond else _log.info
            write("clock.skewed" if beyond else "clock.right_again", skew_s=self.skew_s, doubt_s=self.doubt_s)
        self._beyond = beyond
        return self.skew_s

    def veto(self, intent: Intent) -> tuple[str, str]:
        """Return (rule, words) against an entry, empty when the clock is right."""
        del intent
        if not self._beyond:
            return "", ""
        return "clock", f"this machine's clock is {self.skew_s:+.2f} s off the venue's; set it right (NTP)"

    def _proven_s(self) -> float:
        return abs(self.skew_s) - self.doubt_s
