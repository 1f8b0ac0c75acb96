"""One account: its key, wallets, settings and positions. Read by private endpoints, changed by settlement alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from omega.engine import fills, margin
from services.simulator.figures import ZERO, cash


class Right(StrEnum):
    """What a key may do."""

    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One account as configured. Units: usdt is the futures wallet, spot the coins of the spot wallet."""

    uid: str = "1000000001"
    key: str = "demo-key"
    secret: str = "demo-secret"  # noqa: S105 - the published key of the demo account
    passphrase: str = "demo-pass"  # noqa: S105 - the published key of the demo account
    rights: frozenset[Right] = frozenset({Right.READ, Right.TRADE})
    usdt: Decimal = Decimal(10_000)
    spot: tuple[tuple[str, Decimal], ...] = (("USDT", Decimal(10_000)),)


@dataclass(slots=True, kw_only=True)
class Position:
    """One open position.

    Units: size in base units, entry in quote currency per unit, money in quote currency; `extra` is margin added by
    hand to an isolated position; fees and funding as signed cash to the holder.
    """

    pos_id: str
    symbol: str
    side: int
    hedged: bool
    margin_mode: str
    leverage: int
    size: Decimal
    entry: Decimal
    created_ms: int
    updated_ms: int
    extra: Decimal = ZERO
    profit: Decimal = ZERO
    funding: Decimal = ZERO
    open_fee: Decimal = ZERO
    close_fee: Decimal = ZERO
    opened: Decimal = ZERO
    open_value: Decimal = ZERO
    closed: Decimal = ZERO
    close_value: Decimal = ZERO

    @property
    def isolated(self) -> bool:
        """Whether it is margined on its own."""
        return self.margin_mode == "isolated"

    def margin(self) -> Decimal:
        """Return the margin that it binds."""
        return cash(margin.initial_margin(float(self.size), float(self.entry), float(self.leverage))) + self.extra

    def unrealised(self, mark: float) -> Decimal:
        """Return its open profit at a mark price."""
        return cash(fills.unrealised(self.side, float(self.size), float(self.entry), mark))


@dataclass(slots=True)
class SymbolSettings:
    """Leverage and margin mode of one symbol."""

    cross: int
    long: int
    short: int
    margin_mode: str = "crossed"

    def leverage(self, margin_mode: str, side: int) -> int:
        """Return the leverage that applies to a side in a margin mode."""
        if margin_mode == "crossed":
            return self.cross
        return self.long if side > 0 else self.short


@dataclass(slots=True)
class Coin:
    """One coin of the spot wallet."""

    available: Decimal = ZERO
    frozen: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Funds:
    """The state of the futures wallet at one set of marks. Units: quote currency."""

    wallet: Decimal
    equity: Decimal
    unrealised: Decimal
    cross_unrealised: Decimal
    isolated_unrealised: Decimal
    margins: Decimal
    reserved: Decimal

    @property
    def available(self) -> Decimal:
        """What may back new crossed positions."""
        return max(ZERO, self.wallet + self.cross_unrealised - self.margins - self.reserved)

    @property
    def transferable(self) -> Decimal:
        """What may leave: available without open profit."""
        return max(ZERO, self.wallet + min(ZERO, self.cross_unrealised) - self.margins - self.reserved)


@dataclass(slots=True)
class Account:
    """One account's money and positions; positions are keyed by (symbol, side)."""

    spec: AccountSpec
    default_leverage: int
    wallet: Decimal = ZERO
    coins: dict[str, Coin] = field(default_factory=dict)
    positions: dict[tuple[str, int], Position] = field(default_factory=dict)
    settings: dict[str, SymbolSettings] = field(default_factory=dict)
    hedged: bool = False
    frozen: bool = False

    @property
    def uid(self) -> str:
        """The account's number."""
        return self.spec.uid

    @property
    def secret(self) -> str:
        """The secret that signs its requests."""
        return self.spec.secret

    @property
    def passphrase(self) -> str:
        """The passphrase of its key."""
        return self.spec.passphrase

    def may(self, right: Right) -> bool:
        """Tell whether its key has a right."""
        return right in self.spec.rights

    def setting(self, symbol: str) -> SymbolSettings:
        """Return a symbol's settings, the defaults when it was never touched."""
        if symbol not in self.settings:
            lever = self.default_leverage
            self.settings[symbol] = SymbolSettings(lever, lever, lever)
        return self.settings[symbol]

    def coin(self, name: str) -> Coin:
        """Return a coin of the spot wallet."""
        return self.coins.setdefault(name, Coin())

    def held(self, symbol: str) -> list[Position]:
        """Return the open positions of a symbol, the long one first."""
        return [self.positions[key] for key in ((symbol, 1), (symbol, -1)) if key in self.positions]

    def closable(self, symbol: str, side: int, hold: int) -> Position | None:
        """Return the position that an order of this side would reduce; `hold` names it in hedge mode."""
        return self.positions.get((symbol, hold or -side))

    def funds(self, mark: Callable[[str], float], reserved: Decimal) -> Funds:
        """Return the wallet's state; `reserved` is what open orders bind."""
        cross = isolated = margins = ZERO
        for position in self.positions.values():
            profit = position.unrealised(mark(position.symbol))
            margins += position.margin()
            if position.isolated:
                isolated += profit
            else:
                cross += profit
        return Funds(self.wallet, self.wallet + cross + isolated, cross + isolated, cross, isolated, margins, reserved)


def open_account(spec: AccountSpec, default_leverage: int) -> Account:
    """Open an account with its first deposit."""
    coins = {name: Coin(amount) for name, amount in spec.spot}
    return Account(spec, default_leverage, wallet=spec.usdt, coins=coins)
