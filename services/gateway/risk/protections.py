"""Entry locks of single bots, as freqtrade's users know them. Pure; every time is market time.

Cool-down after a closed position, stop-loss guard, drawdown of the equity with open profit, and low-profit pairs. The
time of a lock is that of the fill or bar that brought it about, and an entry's time is the close of the bar that it
was decided on: a replay locks where the session did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from omega.config import Protections, Settings
from omega.domain import EXTERNAL, Fill, Position, Role, timeframe_ns

ZERO: Final = Decimal(0)
EACH: Final = "*"
_FORCED: Final = frozenset({Role.STOP, Role.LIQUIDATION})
_TRIPS: Final = 1_000
"""Round trips that are remembered of a bot in a symbol, at most."""
_TRIPS_LEAST: Final = 20
"""Round trips that are remembered though no rule looks back so far: one that is switched on knows something."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One round trip, no larger than the rules need: there are thousands. Units: earned in % of the entry's value."""

    ts_ns: int
    earned: Decimal
    stopped: bool
    """Whether a stop or a liquidation ended it, with a loss."""


@dataclass(frozen=True, slots=True)
class Lock:
    """No entries of a bot in a symbol until an instant of market time."""

    bot: str
    symbol: str
    rule: str
    until_ns: int
    reason: str


class ProtectionBook:
    """Watches the bots' round trips and equity, and locks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trips: dict[tuple[str, str], deque[Trip]] = {}
        self._last: dict[tuple[str, str], str] = {}
        self._open: dict[tuple[str, str], Decimal] = {}
        self._locks: dict[tuple[str, str, str], Lock] = {}
        self._equity: dict[str, deque[tuple[int, Decimal]]] = {}
        self.on_lock: Callable[[Lock], None] = lambda _lock: None
        """Hears of every new lock, to write it down."""

    def configure(self, settings: Settings) -> None:
        """Take changed settings; locks that stand run out by themselves."""
        self._settings = settings

    def of(self, bot: str) -> Protections | None:
        """Return the protections of a bot."""
        protections = self._settings.risk.protections
        return protections.get(bot) or protections.get(EACH)

    def bar_ns(self, bot: str) -> int:
        """Return the length of a bot's bars."""
        plan = self._settings.bots.get(bot)
        return timeframe_ns((plan.timeframe if plan is not None else "") or self._settings.trading.timeframe)

    # what is watched ------------------------------------------------------------------------------------------------

    def filled(self, fill: Fill, before: Position, after: Position, *, old: bool = False) -> None:
        """Take a fill with its book before and after; an old one is remembered and locks nothing."""
        if fill.bot == EXTERNAL:
            return
        place = (str(fill.bot), str(fill.symbol))
        grown = abs(after.size) - abs(before.size)
        if before.size * after.size < 0:
            self._open[place] = abs(after.size) * fill.price
        elif grown > 0:
            self._open[place] = self._open.get(place, ZERO) + grown * fill.price
        if after.trades == before.trades:
            return
        gained = before.open_pnl + (after.realised - before.realised) - fill.fee
        value = self._open.get(place, ZERO)
        if not after.size:
            self._open.pop(place, None)
        if self._last.get(place) == fill.trade_id:
            return
        self._last[place] = str(fill.trade_id)
        trips = self._trips.setdefault(place, deque(maxlen=_TRIPS))
        earned = gained / value * 100 if value else ZERO
        trips.append(Trip(fill.ts_ns, earned, fill.role in _FORCED and gained < 0))
        since_ns = fill.ts_ns - self._look_back_ns(str(fill.bot))
        while len(trips) > _TRIPS_LEAST and trips[0].ts_ns <= since_ns:
            trips.popleft()
        if not old:
            self._judge(place, fill.ts_ns)

    def mark(self, bot: str, ts_ns: int, equity: Decimal) -> None:
        """Take a bot's equity, open profit included, at the close of a bar."""
        rules = self.of(bot)
        if rules is None or rules.max_drawdown is None:
            self._equity.pop(bot, None)
            return
        rule, length = rules.max_drawdown, self.bar_ns(bot)
        peaks = self._equity.setdefault(bot, deque())
        while peaks and peaks[-1][1] <= equity:  # falling peaks alone: the first is the window's highest
            peaks.pop()
        peaks.append((ts_ns, equity))
        while peaks[0][0] < ts_ns - rule.lookback_bars * length:
            peaks.popleft()
        peak = peaks[0][1]
        drawdown = (peak - equity) / peak * 100 if peak > 0 else ZERO
        if drawdown >= rule.drawdown_pct:
            words = f"equity {equity:.2f} is {drawdown:.2f} % below its peak {peak:.2f} of {rule.lookback_bars} bars"
            self._lock(bot, EACH, "max_drawdown", ts_ns + rule.stop_bars * length, words)
            self._equity[bot] = deque([(ts_ns, equity)])

    # what is locked -------------------------------------------------------------------------------------------------

    def lock_of(self, bot: str, symbol: str, ts_ns: int) -> Lock | None:
        """Return the lock that keeps a bot out of a symbol at an instant of market time, the longest one."""
        found = [
            lock
            for rule in ("cooldown", "stoploss_guard", "max_drawdown", "low_profit")
            for held in (symbol, EACH)
            if (lock := self._locks.get((bot, held, rule))) is not None and ts_ns < lock.until_ns
        ]
        return max(found, key=lambda lock: lock.until_ns, default=None)

    def active(self, ts_ns: int) -> list[Lock]:
        """Return every lock that stands at an instant of market time."""
        for key in [key for key, lock in self._locks.items() if lock.until_ns <= ts_ns]:
            del self._locks[key]
        return list(self._locks.values())

    def dump(self) -> list[list[Any]]:
        """Return the locks, to survive a restart."""
        return [[lock.bot, lock.symbol, lock.rule, lock.until_ns, lock.reason] for lock in self._locks.values()]

    def load(self, rows: list[list[Any]]) -> None:
        """Take back what was dumped."""
        for row in rows:
            lock = Lock(str(row[0]), str(row[1]), str(row[2]), int(row[3]), str(row[4]))
            self._locks[lock.bot, lock.symbol, lock.rule] = lock

    # how ------------------------------------------------------------------------------------------------------------

    def _judge(self, place: tuple[str, str], now_ns: int) -> None:
        bot, symbol = place
        rules, length = self.of(bot), self.bar_ns(bot)
        if rules is None:
            return
        if rules.cooldown_bars:
            words = f"cool-down of {rules.cooldown_bars} bars after an exit"
            self._lock(bot, symbol, "cooldown", now_ns + rules.cooldown_bars * length, words)
        if (guard := rules.stoploss_guard) is not None:
            lost = [trip for trip in self._since(place, now_ns - guard.lookback_bars * length) if trip.stopped]
            if len(lost) >= guard.trades:
                words = f"{len(lost)} stops within {guard.lookback_bars} bars"
                self._lock(bot, symbol, "stoploss_guard", now_ns + guard.stop_bars * length, words)
        if (low := rules.low_profit) is not None:
            trips = self._since(place, now_ns - low.lookback_bars * length)
            earned = sum((trip.earned for trip in trips), ZERO)
            if len(trips) >= low.trades and earned < low.required_pct:
                words = f"{len(trips)} trades within {low.lookback_bars} bars earned {earned:.2f} %"
                self._lock(bot, symbol, "low_profit", now_ns + low.stop_bars * length, words)

    def _look_back_ns(self, bot: str) -> int:
        """Return how far the rules about a bot's round trips look back."""
        rules = self.of(bot)
        bars = [rule.lookback_bars for rule in (rules.stoploss_guard, rules.low_profit) if rule] if rules else []
        return max(bars, default=0) * self.bar_ns(bot)

    def _since(self, place: tuple[str, str], ts_ns: int) -> list[Trip]:
        return [trip for trip in self._trips.get(place, ()) if trip.ts_ns > ts_ns]

    def _lock(self, bot: str, symbol: str, rule: str, until_ns: int, reason: str) -> None:
        lock = Lock(bot, symbol, rule, until_ns, reason)
        self._locks[bot, symbol, rule] = lock
        self.on_lock(lock)
