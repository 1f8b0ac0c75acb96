"""The fill rules: at which price an order fills inside a bar, what it costs and what it leaves.

Called by the engine's portfolio, the back-test and the simulator; written once so that all three agree.
"""

from omega.engine.kernel import kernel


@kernel
def market_fill(side: int, open_: float, slippage: float) -> float:
    """Price of a market order that fills at the open of the bar after its decision.

    Units: prices in quote currency; side +1 buys, -1 sells; slippage a fraction of the price, always adverse.
    Source: the fill rules (a decision at the close of bar k fills at the open of k+1 plus slippage).
    """
    return open_ * (1.0 + side * slippage)


@kernel
def limit_fill(side: int, limit: float, open_: float, high: float, low: float) -> float:
    """Price at which a resting limit order fills inside this bar, 0.0 when untouched.

    Units: prices in quote currency; side +1 buys, -1 sells; a limit of 0.0 is no order.
    Source: the fill rules (at its price, at the open when the bar opened beyond it).
    """
    if limit <= 0.0:
        return 0.0
    if side > 0 and low <= limit:
        return min(open_, limit)
    if side < 0 and high >= limit:
        return max(open_, limit)
    return 0.0


@kernel
def trigger_hit(
    rising: bool,  # noqa: FBT001 - a kernel call passes its scalars by position
    trigger: float,
    open_: float,
    high: float,
    low: float,
) -> float:
    """Price at which a trigger fires inside this bar, 0.0 when untouched.

    Units: prices in quote currency; rising fires when the price comes up to the trigger, otherwise when it comes
        down to it; a trigger of 0.0 is none.
    Source: the fill rules (at the trigger, at the open when the bar gapped beyond it).
    """
    if trigger <= 0.0:
        return 0.0
    if rising:
        return max(open_, trigger) if high >= trigger else 0.0
    return min(open_, trigger) if low <= trigger else 0.0


@kernel
def fee(price: float, size: float, rate: float) -> float:
    """Fee of a fill, never negative.

    Units: price in quote currency per unit, size in base units, rate a fraction; the fee in quote currency.
    Source: the venue's fill fee, price * size * rate.
    """
    return max(price * size * rate, 0.0)


@kernel
def funding(side: int, size: float, mark: float, rate: float) -> float:
    """Cash that one funding instant moves to the holder: longs pay while the rate is above zero.

    Units: side of the position, size in base units, mark in quote currency per unit, rate a fraction an instant.
    Source: the venue's funding payment, size * mark * rate, settled every eight hours.
    """
    return -side * size * mark * rate


@kernel
def unrealised(side: int, size: float, entry: float, mark: float) -> float:
    """Profit of an open position at the mark price, before fees.

    Units: side of the position, size in base units, prices in quote currency per unit.
    Source: the venue's unrealizedPL, side * size * (mark - entry).
    """
    return side * size * (mark - entry)


@kernel
def average_entry(size: float, entry: float, add: float, price: float) -> float:
    """Average entry price after `add` more units joined a position at `price`; 0.0 when nothing is held.

    Units: sizes in base units, prices in quote currency per unit.
    Source: the venue's openPriceAvg, weighted by size.
    """
    total = size + add
    if total <= 0.0:
        return 0.0
    return (size * entry + add * price) / total
