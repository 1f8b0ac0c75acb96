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


@kernel
def all_in(equity: float, price: float, taker: float) -> float:
    """Size that spends the whole equity, its own fee included.

    Units: equity in quote currency, price in quote currency per unit, taker a fraction; the size in base units.
    Source: the benchmark's rule, quantity = equity / (price * (1 + fee)).
    """
    if equity <= 0.0 or price <= 0.0:
        return 0.0
    return equity / (price * (1.0 + taker))


@kernel
def entry_size(
    terms: tuple[int, float, float, float, float, float, float, float, float, bool],
    side: int,
    price: float,
    stop: float,
    share: float,
    confidence: float,
    most: float,
    equity: float,
) -> tuple[int, float, float, float]:
    """Size and leverage of an entry under the terms, or what forbids it.

    Args:
        terms: (sizing, risk, max_leverage, max_notional, reserve, buffer, mmr, taker, min_confidence,
            require_stop); sizing is 0 for the risk at the stop, 1 for the whole equity, 2 for the benchmark's all-in.
        side: of the entry.
        price: the close.
        stop: price of the stop, 0.0 for none.
        share: part of the full size that the stages before have left.
        confidence: after those stages.
        most: highest leverage that they allow.
        equity: of the book.

    Returns:
        (fault, size, leverage, wanted): fault 0 for none, 1 confidence too low, 2 no stop on the losing side, 3 no
        size is left; leverage a whole number; wanted is the size before any cap.

    Units: prices in quote currency per unit, equity in quote currency, sizes in base units.
    Source: the order path's sizing rule: risk cash over stop distance, under notional, leverage and free margin.
    """
    sizing, risk, max_leverage, max_notional, reserve, buffer, mmr, taker, min_confidence, require_stop = terms
    distance = side * (price - stop) if stop > 0.0 else 0.0
    if confidence < min_confidence:
        return 1, 0.0, 1.0, 0.0
    if require_stop and distance <= 0.0:
        return 2, 0.0, 1.0, 0.0
    if sizing > 1:
        size = all_in(equity * share, price, taker)
        return 3 if size <= 0.0 else 0, size, 1.0, size
    rate = mmr + taker
    leverage = float(int(safe_leverage(side, price, distance, min(max_leverage, most), buffer, rate)))
    cap = size_caps(equity, price, leverage, reserve, max_notional)
    if sizing == 1:
        size = full_size(side, equity * share, price, distance, cap, buffer, rate)
        wanted = equity / price * share
    else:
        size = risk_size(side, equity, price, distance, risk * share, cap, buffer, rate)
        wanted = equity * (risk * share) / distance if distance > 0.0 else 0.0
    return 3 if size <= 0.0 else 0, size, leverage, wanted
