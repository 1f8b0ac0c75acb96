"""Time and ids of the local Discord: a clock that tests may advance, and true snowflakes minted from it."""

import time
from datetime import UTC, datetime

DISCORD_EPOCH_MS = 1_420_070_400_000


class WorldClock:
    """The wall clock plus whatever a test has advanced it by."""

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._minted = 0

    def now(self) -> float:
        """Return seconds since the Unix epoch, as this Discord sees them."""
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let the world grow older by some seconds at once."""
        self._ahead_s += seconds

    def iso(self) -> str:
        """Return the present moment in Discord's ISO form."""
        return datetime.fromtimestamp(self.now(), UTC).isoformat()

    def snowflake(self) -> str:
        """Mint an id of now: discord.py derives ages, expiry and buckets from it."""
        self._minted = (self._minted + 1) & 0x3FFFFF
        return str((int(self.now() * 1000) - DISCORD_EPOCH_MS) << 22 | self._minted)
