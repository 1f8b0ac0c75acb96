"""What people ask the gate: show, what-if, headroom. Behind `omega risk`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from omega.bus.messages import Scalar
from omega.domain import Action, BotName, Instrument, Intent, IntentId, Side, iso
from omega.domain import ids as _ids
from omega.errors import Rejected
from services.gateway.account import Account
from services.gateway.risk.gate import Figure, deciding
from services.gateway.risk.levers import say, text_of
from services.gateway.risk.limits import Limit, Override
from services.gateway.risk.measures import Added
from services.gateway.risk.monitor import Monitor
from services.gateway.risk.rules import Asked, added, findings
from services.gateway.risk.scopes import Measure

ZERO: Final = Decimal(0)
_AWAY: Final = Decimal("0.01")
"""How far from the price the stop of a hypothetical entry stands when none is given."""

Params = Mapping[str, Scalar]


class RiskDesk:
    """Answers for one account."""

    def __init__(self, account: Account, monitor: Monitor, ask: Callable[[Intent], Asked]) -> None:
        self._account = account
        self._gate = account.risk
        self._monitor = monitor
        self._ask = ask

    # questions ------------------------------------------------------------------------------------------------------

    def answer(self, method: str, params: Params) -> object:
        """Answer `risk.show`, `risk.what_if` or `risk.headroom`.

        Raises:
            Rejected: there is no such question, or it names what does not exist.
        """
        match method:
            case "risk.show":
                return self.show()
            case "risk.what_if":
                return self.what_if(params)
            case "risk.headroom":
                return self.headroom(params)
        raise Rejected(f"the gate answers risk.show, risk.what_if and risk.headroom, not {method!r}", kind="BUG")

    def show(self) -> dict[str, object]:
        """Return limits with use and headroom, reservations, halts, blocks, locks, people's changes."""
        account, gate = self._account, self._gate
        gate.mark(account.books.items())
        rows = [self._row(limit, use, bound) for limit, use, bound in self._monitor.uses()]
        halts = [
            {
                "scope": latch.entity.scope.value,
                "name": latch.entity.name,
                "level": latch.level.value,
                "reason": latch.reason,
                "by": latch.by,
                "since": iso(latch.ts_ns) if latch.ts_ns else "",
            }
            for latch in account.halt.latches
        ]
        if account.halt.active and not any(row["scope"] == "account" for row in halts):
            halts.append(
                {
                    "scope": "account",
                    "name": account.name,
                    "level": "reduce_only",
                    "reason": account.halt.reason,
                    "by": "halt file",
                    "since": "",
                }
            )
        return {
            "venue": account.venue_name,
            "account": account.name,
            "equity": str(account.balance.equity),
            "market_time": iso(gate.market_ns),
            "limits": rows,
            "reservations": [
                {
                    "client_id": claim.client_id,
                    "bot": claim.bot,
                    "symbol": claim.symbol,
                    "side": "buy" if claim.sign > 0 else "sell",
                    "role": "entry" if claim.entry else "exit",
                    "size": str(claim.rest),
                    "state": claim.state.value,
                }
                for claim in gate.reservations.reserved()
            ],
            "halts": halts,
            "blocks": [
                f"{row['scope']} {row['name']}: {row['measure']} is used up ({row['origin']})"
                for row in rows
                if row["blocked"]
            ],
            "locks": [
                {**asdict(lock), "until": iso(lock.until_ns)} for lock in gate.protections.active(gate.market_ns)
            ],
            "changes": [self._change_row(change) for change in gate.limits.overrides],
            "shares": {symbol: str(gate.share(symbol)) for symbol in account.settings.gateway.symbols},
            "others": list(gate.fleet.others),
        }

    def what_if(self, params: Params) -> dict[str, object]:
        """Judge an entry without sending it: every rule and limit that it breaks, and every figure.

        Raises:
            Rejected: the entry names a bot or a symbol that does not exist, or a number that is none.
        """
        intent = self._intent(params, self._decimal(params, "size"))
        against = findings(self._ask(intent), self._account)
        figures = list(self._gate.figures(intent.bot, added(intent, self._account)))
        first = deciding(figures)
        return {
            "allowed": not against,
            "bot": intent.bot,
            "symbol": intent.symbol,
            "side": intent.side.value,
            "size": str(intent.size),
            "price": str(intent.ref_price),
            "stop": str(intent.stop),
            "findings": [{"rule": rule, "words": words} for rule, words in against],
            "decides": self._figure_row(first) if first is not None else None,
            "figures": [self._figure_row(figure) for figure in figures],
        }

    def headroom(self, params: Params) -> dict[str, object]:
        """Return the largest entry that every limit allows now, what bounds it, and what else is against one.

        Raises:
            Rejected: it names a bot or a symbol that does not exist.
        """
        intent = self._intent(params, ZERO)
        instrument = self._instrument(intent.symbol)
        cap = self._account.settings.trading.max_order_notional / intent.ref_price
        fits, bounded = self._largest(intent, instrument, cap)
        sized = self._intent(params, max(fits, instrument.size_step))
        limits = {figure.limit.rule for figure in self._gate.figures(intent.bot, added(sized, self._account))}
        against = [f for f in findings(self._ask(sized), self._account) if f[0] not in limits]
        return {
            "bot": intent.bot,
            "symbol": intent.symbol,
            "side": intent.side.value,
            "price": str(intent.ref_price),
            "size": str(fits),
            "notional": str(fits * intent.ref_price),
            "bounded_by": bounded,
            "findings": [{"rule": rule, "words": words} for rule, words in against],
        }

    def _largest(self, intent: Intent, instrument: Instrument, cap: Decimal) -> tuple[Decimal, str]:
        """Return the largest size in steps that breaks no limit (found by halving), and what stands above it."""
        step, most = instrument.size_step, int(cap / instrument.size_step)

        def broken(steps: int) -> Figure | None:
            entry = Added(intent.symbol, intent.side.sign, steps * step, intent.ref_price)
            return next((figure for figure in self._gate.figures(intent.bot, entry) if figure.broken), None)

        low, high = 0, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            if broken(middle) is None:
                low = middle
            else:
                high = middle
        above = broken(low + 1)
        if above is None or low == most:
            return low * step, "trading.max_order_notional"
        return low * step, f"{above.limit.entity}: {above.limit.measure} ({above.limit.origin})"

    # how ------------------------------------------------------------------------------------------------------------

    def _row(self, limit: Limit, use: Decimal, bound: Decimal) -> dict[str, Any]:
        scope, name = limit.entity
        figure = Figure(limit, use, use, bound, broken=False)
        under = limit.measure is Measure.LIQUIDATION
        return {
            "scope": scope.value,
            "name": name,
            "measure": limit.measure.value,
            "use": text_of(use),
            "bound": text_of(bound),
            "headroom": text_of(max(use - bound if under else bound - use, ZERO)),
            "used_pct": float(round(min(figure.share, Decimal(10)) * 100, 2)),
            "reduce_only": text_of(limit.reduce_only),
            "flatten": text_of(limit.flatten),
            "origin": limit.origin,
            "blocked": limit.broken(use, bound) or (use == bound and not under),
        }

    def _figure_row(self, figure: Figure) -> dict[str, object]:
        verdict = figure.verdict()
        return {
            "scope": verdict.scope,
            "name": verdict.name,
            "measure": verdict.measure,
            "broken": figure.broken,
            "before": text_of(verdict.before),
            "after": text_of(verdict.after),
            "bound": text_of(verdict.bound),
            "origin": figure.limit.origin,
        }

    def _change_row(self, change: Override) -> dict[str, object]:
        return {
            "scope": change.entity.scope.value,
            "name": change.entity.name,
            "measure": change.measure.value,
            "levels": say(change.levels),
            "by": change.by,
            "reason": change.reason,
            "since": iso(change.ts_ns),
            "until": iso(change.until_ns) if change.until_ns else "",
        }

    def _intent(self, params: Params, size: Decimal) -> Intent:
        account, bot = self._account, str(params.get("bot", ""))
        plan = account.settings.bots.get(bot)
        if plan is None:
            raise Rejected(f"no bot is called {bot!r}; configured are {', '.join(sorted(account.settings.bots))}")
        symbol = str(params.get("symbol", "") or plan.symbol)
        instrument = self._instrument(symbol)
        price = self._decimal(params, "price") if params.get("price") else account.price(symbol)
        if price <= 0:
            raise Rejected(f"no price of {symbol} is known yet; name one with --price")
        side = Side(str(params.get("side", "buy")))
        away = price * (1 - _AWAY * side.sign)
        stop = self._decimal(params, "stop") if params.get("stop") else instrument.price(away)
        timeframe = plan.timeframe or account.settings.trading.timeframe
        return Intent(
            intent_id=IntentId(f"{bot}:0:what-if"),
            bot=BotName(bot),
            venue=_ids.VenueName(account.venue_name),
            account=_ids.AccountName(account.name),
            symbol=_ids.Symbol(symbol),
            action=Action.ENTER,
            side=side,
            size=size,
            bar_ts_ns=account.newest_bar_ns.get((symbol, timeframe), 0),
            ref_price=price,
            stop=stop,
            leverage=int(params.get("leverage", 1)),
        )

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self._account.instrument(symbol)
        if instrument is None:
            raise Rejected(f"{symbol} is not traded on {self._account.venue_name}; see gateway.symbols")
        return instrument

    def _decimal(self, params: Params, name: str) -> Decimal:
        try:
            number = Decimal(str(params.get(name, "")))
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or number <= 0:
            raise Rejected(f"{name} {params.get(name, '')!r} is no number above 0")
        return number
