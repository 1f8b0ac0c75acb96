"""What others ask the gateway over the bus: settle (lock-step), positions, invariants, status, risk.

Answers come from venue and journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from omega.bus.messages import Scalar
from omega.domain import EXTERNAL, OrderState
from omega.errors import Rejected
from services.gateway.account import Account
from services.gateway.lookup import LookUps
from services.gateway.market import Market
from services.gateway.outbox import Outbox
from services.gateway.protection import stop_sizes, wanted
from services.gateway.recovery import Recovery
from services.gateway.risk.desk import RiskDesk
from services.gateway.stops import StopKeeper
from services.gateway.venue import PlanKind, closing_side

ZERO: Final = Decimal(0)
METHODS: Final = ("settle", "positions", "invariants", "reconcile", "budget", "status", "consensus", "risk.*")
_UNDER_WAY: Final = (OrderState.INTENT, OrderState.SENDING, OrderState.UNRESOLVED)


class Requests:
    """Answers for one account."""

    def __init__(
        self,
        account: Account,
        keeper: StopKeeper,
        recovery: Recovery,
        look_ups: LookUps,
        outbox: Outbox,
        market: Market,
        desk: RiskDesk,
    ) -> None:
        self._account = account
        self._keeper = keeper
        self._recovery = recovery
        self._look_ups = look_ups
        self._outbox = outbox
        self._market = market
        self._desk = desk
        self.consensus: Callable[[str], object] = lambda _symbol: []
        """Answers what several venues agree a symbol is worth; set by the service."""

    async def answer(self, method: str, params: Mapping[str, Scalar]) -> object:
        """Answer one request.

        Raises:
            Rejected: there is no such method.
        """
        if method.startswith("risk."):
            return self._desk.answer(method, params)
        match method:
            case "settle":
                return await self.settle(int(params.get("frames", 0)), str(params.get("intents", "")))
            case "invariants":
                return await self.invariants()
            case "reconcile":
                return await self.reconcile()
            case "consensus":
                return self.consensus(str(params.get("symbol", "")))
        plain = {"positions": self.positions, "budget": self._account.turns.budget, "status": self.status}
        if method not in plain:
            raise Rejected(f"the gateway does not answer {method!r}; it answers {', '.join(METHODS)}", kind="BUG")
        return plain[method]()

    async def settle(self, frames: int, intents: str) -> dict[str, object]:
        """Wait until so many private pushes are processed, these intents have an outcome and nothing is in hand."""
        ids = [name for name in intents.split(",") if name]
        await self._account.activity.until(lambda: self._settled(frames, ids))
        return {"frames": self._account.activity.frames, "unresolved": self._look_ups.count}

    def positions(self) -> list[dict[str, object]]:
        """Return every open book with its stop."""
        found: list[dict[str, object]] = []
        for (bot, symbol), book in sorted(self._account.books.items()):
            if book.size:
                size, trigger = self._keeper.stop_of(bot, symbol)
                found.append(
                    {
                        "bot": bot,
                        "symbol": symbol,
                        "size": str(book.size),
                        "entry": str(book.entry),
                        "stop_size": str(size),
                        "stop_trigger": str(trigger),
                        "naked_s": self._keeper.naked_s(bot, symbol),
                    }
                )
        return found

    async def invariants(self) -> dict[str, object]:
        """Compare journal and venue now, read over REST."""
        account = self._account
        await self._recovery.reconcile()
        residuals = await self._recovery.check_positions()
        unstopped = await self._unstopped()
        doubled = await self._doubled()
        return {
            "books_equal_venue": not residuals,
            "every_position_has_stop": not unstopped,
            "duplicate_client_ids": len(doubled),
            "naked_seconds_max": round(self._keeper.naked_max_s, 6),
            "unresolved": self._look_ups.count,
            "residuals": {symbol: str(value) for symbol, value in residuals.items()},
            "unstopped": unstopped,
            "doubled": doubled,
            "venue_positions": {symbol: str(size) for symbol, size in account.positions.items()},
            "orders": account.journal.counts(),
            "events_waiting": self._outbox.waiting,
            "halted": account.halt.reason,
        }

    async def reconcile(self) -> dict[str, object]:
        """Compare books and venue now and return what differs, symbol by symbol."""
        account = self._account
        await self._recovery.reconcile()
        residuals = await self._recovery.check_positions()
        rows = []
        for symbol in sorted({*account.positions, *account.books.symbols()}):
            books = account.books.open(symbol)
            if books or symbol in account.positions:
                rows.append(
                    {
                        "symbol": symbol,
                        "venue": str(account.positions.get(symbol, ZERO)),
                        "books": {bot: str(size) for bot, size in sorted(books.items())},
                        "external": str(books.get(str(EXTERNAL), ZERO)),
                        "residual": str(residuals.get(symbol, ZERO)),
                    }
                )
        unresolved = account.journal.in_state(OrderState.UNRESOLVED)
        return {
            "equal": not residuals,
            "symbols": rows,
            "unstopped": await self._unstopped(),
            "unresolved": [order.client_id for order in unresolved],
            "unresolved_age_s": round(self._look_ups.oldest_s(), 3),
            "residual_age_s": round(self._recovery.residual_s(), 3),
            "naked_s_max": round(self._keeper.naked_max_s, 3),
            "halted": account.halt.reason,
        }

    def status(self) -> dict[str, object]:
        """Return what is in hand."""
        account = self._account
        return {
            "connected": account.venue.connected(),
            "halted": account.halt.reason,
            "busy": account.activity.busy(),
            "frames": account.activity.frames,
            "live": [order.client_id for order in account.journal.live()],
        }

    # how ------------------------------------------------------------------------------------------------------------

    def _settled(self, frames: int, intents: list[str]) -> bool:
        account = self._account
        if account.activity.frames < frames or account.activity.busy() or not self._keeper.idle:
            return False
        if account.journal.in_state(*_UNDER_WAY) or not self._outbox.clear or not self._market.idle:
            return False
        return all(self._ended(name) for name in intents)

    def _ended(self, intent_id: str) -> bool:
        journal = self._account.journal
        order = journal.by_intent(intent_id)
        return order.state not in _UNDER_WAY if order is not None else bool(journal.stop_move(intent_id))

    async def _unstopped(self) -> list[str]:
        """Return the positions whose stops at the venue do not cover them: per symbol and per bot on the net side."""
        account = self._account
        async with account.turns.read():
            plans = await account.venue.plans(every=False)
        found = []
        for symbol, size in account.positions.items():
            sizes = account.books.open(symbol)
            wants = wanted(sizes, account.journal.guards(symbol))
            need = sum(stop_sizes(wants).values(), ZERO)
            external = abs(sizes.get("external", ZERO))
            stops = [
                p for p in plans if p.symbol == symbol and p.kind is PlanKind.STOP and p.side is closing_side(size)
            ]
            have = sum((plan.size for plan in stops), ZERO)
            if have < need or need + external < abs(size):
                found.append(f"{symbol}: {size} held, {have} stopped, {need} wanted")
        return found

    async def _doubled(self) -> list[str]:
        """Return the client ids of ours that name more than one order at the venue."""
        account, seen = self._account, dict[str, set[str]]()
        async with account.turns.read():
            orders = await account.venue.open_orders()
        for symbol in account.settings.gateway.symbols:
            async with account.turns.read():
                orders += await account.venue.past_orders(symbol)
        for order in orders:
            seen.setdefault(order.client_id, set()).add(order.order_id)
        return sorted(name for name, ids in seen.items() if name and len(ids) > 1 and account.journal.order(name))
