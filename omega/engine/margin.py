"""Margin, liquidation and break-even on the venue's terms.

Called by the sizing rule, the back-test and the simulator; `mmr` is the maintenance rate of the tier, `taker` the fee.
"""

from omega.engine.kernel import kernel


@kernel
def initial_margin(size: float, entry: float, leverage: float) -> float:
    """Margin that opening a position binds; the whole notional when the leverage is not above zero.

    Units: size in base units, entry in quote currency per unit; the margin in quote currency.
    Source: the venue's marginSize, entry * size / leverage (37355.5 * 0.002 / 20 = 3.73555 recorded).
    """
    if leverage <= 0.0:
        return entry * size
    return entry * size / leverage


@kernel
def maintenance(size: float, mark: float, mmr: float, taker: float) -> float:
    """Equity below which the venue liquidates a position: maintenance margin and the fee of closing it.

    Units: size in base units, mark in quote currency per unit, rates are fractions.
    Source: the numerator of the venue's marginRatio, (mmr + taker) * size * mark.
    """
    return (mmr + taker) * size * mark


@kernel
def isolated_liquidation(side: int, size: float, entry: float, margin: float, mmr: float, taker: float) -> float:
    """Price at which an isolated position is liquidated, 0.0 when no price does.

    Units: size in base units, entry in quote currency per unit, margin in quote currency, rates are fractions.
    Source: margin + side * size * (P - entry) = (mmr + taker) * size * P, solved for P.
    """
    if size <= 0.0 or side == 0:
        return 0.0
    price = (entry * size - side * margin) / (size * (1.0 - side * (mmr + taker)))
    return max(price, 0.0)


@kernel
def cross_liquidation(side: int, size: float, mark: float, equity: float, mmr: float, taker: float) -> float:
    """Price at which the only crossed position of an account is liquidated, 0.0 when no price does.

    Units: size in base units, mark in quote currency per unit, equity in quote currency with unrealised profit at
        that mark, rates are fractions.
    Source: equity + side * size * (P - mark) = (mmr + taker) * size * P, solved for P.
    """
    if size <= 0.0 or side == 0:
        return 0.0
    price = side * (side * mark * size - equity) / (size * (1.0 - side * (mmr + taker)))
    return max(price, 0.0)


@kernel
def break_even(side: int, entry: float, taker: float) -> float:
    """Price at which closing pays for the fees of entry and exit.

    Units: entry in quote currency per unit, taker a fraction.
    Source: the venue's breakEvenPrice, entry * (1 + taker) / (1 - taker) for a long, inverted for a short.
    """
    return entry * (1.0 + side * taker) / (1.0 - side * taker)
