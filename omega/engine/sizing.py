"""How much to trade: risk cash over stop distance, under every cap. Called by the pipeline and the back-test."""

from omega.engine.kernel import kernel


@kernel
def size_caps(equity: float, price: float, leverage: float, reserve: float, max_notional: float) -> float:
    """Largest size that leverage, free margin and the notional limit allow.

    Units: equity in quote currency, price in quote currency per unit, leverage a multiple, reserve the fraction of the
        equity that stays unused (the next open may lie higher, and the fee is due), max_notional in quote currency
        with 0.0 for no limit; the size in base units.
    Source: the order path's rule that a size is bounded by notional, leverage and free margin.
    """
    if equity <= 0.0 or price <= 0.0 or leverage <= 0.0:
        return 0.0
    notional = equity * (1.0 - reserve) * leverage
    if max_notional > 0.0:
        notional = min(notional, max_notional)
    return max(notional, 0.0) / price


@kernel
def buffered_loss(side: int, price: float, stop_distance: float, buffer: float, rate: float) -> float:
    """Equity per unit that must be left so that liquidation lies beyond the stop by a part of its distance.

    Units: price and distance in quote currency per unit; buffer a fraction of the distance; rate is maintenance rate
        plus taker fee; the result in quote currency per unit.
    Source: the liquidation equation, equity = size * (loss to P + rate * P), at P = buffered stop.
    """
    reach = stop_distance * (1.0 + buffer)
    edge = max(price - side * reach, 0.0)
    return reach + rate * edge


@kernel
def risk_size(
    side: int,
    equity: float,
    price: float,
    stop_distance: float,
    risk: float,
    cap: float,
    buffer: float,
    rate: float,
) -> float:
    """Size whose loss at the stop is a fraction of the equity, under the cap and clear of liquidation.

    Units: equity in quote currency, price and distance in quote currency per unit, risk a fraction of the equity, cap
        in base units, buffer a fraction of the distance, rate maintenance plus taker; 0.0 without a stop.
    Source: quantity = risk cash / stop distance.
    """
    if equity <= 0.0 or price <= 0.0 or stop_distance <= 0.0 or risk <= 0.0:
        return 0.0
    wanted = equity * risk / stop_distance
    clear = equity / buffered_loss(side, price, stop_distance, buffer, rate)
    return max(min(wanted, cap, clear), 0.0)


@kernel
def full_size(
    side: int, equity: float, price: float, stop_distance: float, cap: float, buffer: float, rate: float
) -> float:
    """Size that puts the whole equity to work once, clear of liquidation when there is a stop.

    Units: as risk_size; a stop distance of 0.0 means none, as the benchmark trades.
    Source: the benchmark's full-equity rule, quantity = equity / price.
    """
    if equity <= 0.0 or price <= 0.0:
        return 0.0
    wanted = min(equity / price, cap)
    if stop_distance > 0.0:
        wanted = min(wanted, equity / buffered_loss(side, price, stop_distance, buffer, rate))
    return max(wanted, 0.0)


@kernel
def safe_leverage(side: int, price: float, stop_distance: float, most: float, buffer: float, rate: float) -> float:
    """Highest leverage at which an isolated position is liquidated beyond its stop and the buffer, at most `most`.

    Units: price and distance in quote currency per unit; the leverage a multiple of at least 1.
    Source: the isolated liquidation equation with margin = entry / leverage, solved at the buffered stop.
    """
    if price <= 0.0 or stop_distance <= 0.0:
        return 1.0
    need = buffered_loss(side, price, stop_distance, buffer, rate)
    return max(min(most, price / need), 1.0)
