"""What can be traded: the venue's raw objects, carried as JSON, and the steps read from them. Loaded once at start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from omega.errors import ConfigError
from services.simulator.figures import ZERO

CARRIED = Path(__file__).with_name("instruments.json")


class Product(StrEnum):
    """The venue's product types that are served; the value is the wire's name."""

    SWAP = "USDT-FUTURES"
    SPOT = "SPOT"


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of the maintenance table. Units: start and end are position values in quote currency."""

    start: Decimal
    end: Decimal
    rate: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """One symbol of one product and its rules.

    Units: tick and min_notional in quote currency, step and sizes in base units, fees and bands fractions.
    """

    symbol: str
    product: Product
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_size: Decimal
    min_notional: Decimal
    maker: float
    taker: float
    price_digits: int
    size_digits: int
    buy_band: Decimal
    sell_band: Decimal
    max_leverage: int
    max_orders: int
    max_limit_size: Decimal | None
    max_market_size: Decimal | None
    cost_padding: Decimal
    tiers: tuple[Tier, ...]
    raw: Mapping[str, object]

    def maintenance_rate(self, value: Decimal) -> float:
        """Return the maintenance rate for a position of this value."""
        for tier in self.tiers:
            if value <= tier.end:
                return tier.rate
        return self.tiers[-1].rate


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The listed instruments of both products, by symbol."""

    swap: Mapping[str, Instrument]
    spot: Mapping[str, Instrument]

    def of(self, product: Product) -> Mapping[str, Instrument]:
        """Return the instruments of one product."""
        return self.swap if product is Product.SWAP else self.spot


def load_catalogue(symbols: Iterable[str], path: Path = CARRIED) -> Catalogue:
    """Read the instruments that have candles.

    Raises:
        ConfigError: a symbol is not in the carried list.
    """
    carried = json.loads(path.read_text(encoding="utf-8"))
    tiers = tuple(Tier(Decimal(start), Decimal(end), float(rate)) for start, end, rate in carried["tiers"])
    swap = {raw["symbol"]: _swap(raw, tiers) for raw in carried["swap"]}
    spot = {raw["symbol"]: _spot(raw) for raw in carried["spot"]}
    wanted = list(symbols)
    unknown = sorted(set(wanted) - set(swap))
    if unknown:
        raise ConfigError(f"no contract {', '.join(unknown)} in {path.name}: choose from {', '.join(sorted(swap))}")
    return Catalogue({name: swap[name] for name in wanted}, {name: spot[name] for name in wanted if name in spot})


def _swap(raw: Mapping[str, str], tiers: tuple[Tier, ...]) -> Instrument:
    digits = int(raw["pricePlace"])
    return Instrument(
        symbol=raw["symbol"],
        product=Product.SWAP,
        base=raw["baseCoin"],
        quote=raw["quoteCoin"],
        tick=Decimal(raw["priceEndStep"]).scaleb(-digits),
        step=Decimal(raw["sizeMultiplier"]),
        min_size=Decimal(raw["minTradeNum"]),
        min_notional=Decimal(raw["minTradeUSDT"]),
        maker=float(raw["makerFeeRate"]),
        taker=float(raw["takerFeeRate"]),
        price_digits=digits,
        size_digits=int(raw["volumePlace"]),
        buy_band=Decimal(raw["buyLimitPriceRatio"]),
        sell_band=Decimal(raw["sellLimitPriceRatio"]),
        max_leverage=int(raw["maxLever"]),
        max_orders=int(raw["maxSymbolOrderNum"]),
        max_limit_size=_optional(raw.get("maxOrderQty")),
        max_market_size=_optional(raw.get("maxMarketOrderQty")),
        cost_padding=Decimal(raw["openCostUpRatio"]),
        tiers=tiers,
        raw=raw,
    )


def _spot(raw: Mapping[str, str]) -> Instrument:
    digits, size_digits = int(raw["pricePrecision"]), int(raw["quantityPrecision"])
    step = Decimal(1).scaleb(-size_digits)
    return Instrument(
        symbol=raw["symbol"],
        product=Product.SPOT,
        base=raw["baseCoin"],
        quote=raw["quoteCoin"],
        tick=Decimal(1).scaleb(-digits),
        step=step,
        min_size=max(Decimal(raw["minTradeAmount"]), step),
        min_notional=Decimal(raw["minTradeUSDT"]),
        maker=float(raw["makerFeeRate"]),
        taker=float(raw["takerFeeRate"]),
        price_digits=digits,
        size_digits=size_digits,
        buy_band=Decimal(raw["buyLimitPriceRatio"]),
        sell_band=Decimal(raw["sellLimitPriceRatio"]),
        max_leverage=1,
        max_orders=int(raw.get("orderQuantity", "200")),
        max_limit_size=None,
        max_market_size=None,
        cost_padding=ZERO,
        tiers=(),
        raw=raw,
    )


def _optional(text: str | None) -> Decimal | None:
    return Decimal(text) if text else None
