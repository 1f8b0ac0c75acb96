"""Watches what other venues say a symbol is worth: asks them, tells the farm, and quarantines who drifts.

Off while `gateway.consensus.venues` is empty. The own venue speaks through its stream, the others through public REST.
While the own venue is quarantined for a symbol the gate denies entries in it; exits and stops go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from omega.bus.messages import AuditNote, ConsensusPrice
from omega.bus.port import Bus
from omega.config import Consensus
from omega.domain import Intent
from omega.errors import EnvironmentFault, OmegaError
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.consensus import Agreement, Drift, Limits, Source, agree, drifted
from services.gateway.venue import PriceSource, Tick

_DOLLARS = frozenset({"USD", "USDT", "USDC"})
_REOPEN_S = 30.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _Seen:
    """The newest prices of one venue, and when they came (monotonic seconds)."""

    tick: Tick
    at_s: float


class AgreementWatch:
    """The consensus of one gateway's symbols."""

    def __init__(
        self, account: Account, bus: Bus, ticks: Callable[[], Mapping[str, Tick]], others: Sequence[PriceSource]
    ) -> None:
        self._account = account
        self._bus = bus
        self._ticks = ticks
        self._others = others
        self._open: set[str] = set()
        self._failed: dict[str, float] = {}
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._own: dict[str, _Seen] = {}
        self._drift: dict[tuple[str, str], Drift] = {}
        self._told: dict[str, ConsensusPrice] = {}
        self.drifting: dict[str, str] = {}
        """Symbols in which the own venue is quarantined, with the words for it."""

    @property
    def on(self) -> bool:
        """Tell whether there is another venue to ask."""
        return bool(self._others)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._settings.every_s)

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(source.close() for source in self._others))

    def veto(self, intent: Intent) -> tuple[str, str]:
        """Speak against entries in a symbol whose price at the own venue has drifted: (rule, words) or nothing."""
        words = self.drifting.get(intent.symbol, "")
        return ("consensus", words) if words else ("", "")

    def answer(self, symbol: str) -> list[dict[str, object]]:
        """Return what the venues agree on, for one symbol or for all; empty before the first look."""
        return [asdict(told) for name, told in sorted(self._told.items()) if symbol in {"", name}]

    @property
    def _settings(self) -> Consensus:
        return self._account.settings.gateway.consensus

    # one look -------------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Ask every other venue, judge every symbol, tell it."""
        await asyncio.gather(*(self._ask(source) for source in self._others))
        self._note_own()
        for symbol in self._account.settings.gateway.symbols:
            await self._judge(symbol)

    async def _ask(self, source: PriceSource) -> None:
        """Read one venue's prices; its failure is told once, and so is its return."""
        if time.monotonic() < self._failed.get(source.name, 0.0):
            return
        try:
            if source.name not in self._open:
                await source.open_public()
                self._open.add(source.name)
            names = {theirs: ours for ours in self._account.settings.gateway.symbols if (theirs := _at(source, ours))}
            found = await source.prices(list(names)) if names else []
        except OmegaError as error:
            if source.name not in self._failed:
                _log.warning("consensus.source_failed", venue=source.name, why=str(error)[:200])
            wait = self._settings.every_s if source.name in self._open else _REOPEN_S
            self._failed[source.name] = time.monotonic() + wait
            return
        if self._failed.pop(source.name, None) is not None:
            _log.info("consensus.source_returned", venue=source.name)
        for tick in found:
            if tick.symbol in names:
                self._seen[source.name, names[tick.symbol]] = _Seen(tick, time.monotonic())

    def _note_own(self) -> None:
        """Take the own venue's prices; the same push again grows older."""
        for symbol, tick in self._ticks().items():
            known = self._own.get(symbol)
            if known is None or known.tick is not tick:
                self._own[symbol] = _Seen(tick, time.monotonic())

    async def _judge(self, symbol: str) -> None:
        sources = self._sources(symbol)
        agreement = agree(sources, _limits(self._settings))
        for source in sources:
            self._follow(symbol, source, agreement)
        venue, gauge = self._account.venue_name, self._account.metrics.gauge
        gauge("consensus_price").labels(venue, symbol).set(agreement.price)
        gauge("consensus_members").labels(venue, symbol).set(len(agreement.members))
        gauge("consensus_spread").labels(venue, symbol).set(agreement.spread)
        told = self._told[symbol] = ConsensusPrice(
            venue=venue,
            symbol=symbol,
            price=agreement.price,
            spread=agreement.spread,
            age_s=agreement.age_s,
            members=agreement.members,
            rejected={name: why.value for name, why in sorted(agreement.rejected.items())},
            quarantined=tuple(
                sorted(name for (name, of), state in self._drift.items() if of == symbol and state.quarantined)
            ),
            ts_ns=self._account.clock(),
        )
        await self._bus.send(told)

    def _quarantined(self, symbol: str) -> list[str]:
        return [venue for (venue, of), state in self._drift.items() if of == symbol and state.quarantined]

    def _sources(self, symbol: str) -> list[Source]:
        now, own = time.monotonic(), self._own.get(symbol)
        seen = [(self._account.venue_name, own)] if own is not None else []
        seen += [(venue, found) for (venue, of), found in self._seen.items() if of == symbol]
        return [
            Source(venue, found.tick.last, now - found.at_s, found.tick.bid, found.tick.ask) for venue, found in seen
        ]

    def _follow(self, symbol: str, source: Source, agreement: Agreement) -> None:
        """Move a venue's drift on; what changes is logged, measured, written down, and for the own venue obeyed."""
        settings, key = self._settings, (source.venue, symbol)
        before = self._drift.get(key, Drift())
        after = drifted(before, agreement, source.venue, after=settings.quarantine_after, back=settings.release_after)
        self._drift[key] = after
        self._account.metrics.gauge("venue_quarantined").labels(source.venue, symbol).set(after.quarantined)
        if after.quarantined is before.quarantined:
            return
        words = f"{source.venue} says {source.price:g} for {symbol}, the others agree on {agreement.price:g}"
        if source.venue == self._account.venue_name:
            if after.quarantined:
                self.drifting[symbol] = f"{words}; entries wait until it returns"
            else:
                self.drifting.pop(symbol, None)
        _log.warning("venue.quarantined" if after.quarantined else "venue.released", venue=source.venue, why=words)
        self._write_down(symbol, source, words, quarantined=after.quarantined)

    def _write_down(self, symbol: str, source: Source, words: str, *, quarantined: bool) -> None:
        account, now = self._account, self._account.clock()
        note = AuditNote(
            actor="gateway",
            source=f"{account.venue_name}/{account.name}",
            action="quarantine" if quarantined else "release",
            subject=f"{source.venue} {symbol}",
            outcome=words,
            details={"price": source.price, "age_s": round(source.age_s, 3)},
        )
        try:
            account.journal.emit(f"quarantine:{source.venue}:{symbol}:{now}", note)
            account.activity.changed()
        except EnvironmentFault as error:
            _log.error("journal.refused", error=str(error))


def _at(source: PriceSource, symbol: str) -> str:
    """Return a venue's name of a symbol: the same, else the same coin against another dollar; empty without one."""
    if symbol in source.instruments:
        return symbol
    base, _, rest = symbol.partition("-")
    quote, _, kind = rest.partition(".")
    other = [f"{base}-{dollar}.{kind}" for dollar in sorted(_DOLLARS)] if quote in _DOLLARS else []
    return next((name for name in other if name in source.instruments), "")


def _limits(settings: Consensus) -> Limits:
    return Limits(
        quorum=settings.quorum,
        stale_s=settings.stale_s,
        spread=settings.spread_pct / 100,
        mads=settings.mads,
        least=settings.least_pct / 100,
    )
