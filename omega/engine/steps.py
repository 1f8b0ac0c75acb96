"""The venue's roundings over floats, equal to the Decimal arithmetic of instrument, intents and settlement.

Called compiled by the back-test. A step is the fraction num / den of two whole numbers, so that `count * num / den` is
the float nearest to the decimal multiple; num 0.0 rounds nothing. Two floats are compared instead of two decimals: the
shortest decimal of a float orders as the float does.
"""

from omega.engine.kernel import kernel


@kernel
def whole_steps(value: float, num: float, den: float) -> float:
    """How many whole steps fit into a value.

    Units: value at least zero, in what num / den is in; the count is a whole number.
    Source: Instrument.size, ROUND_DOWN.
    """
    count = float(int(value * den / num))
    if (count + 1.0) * num / den <= value:
        return count + 1.0
    if count * num / den > value:
        return count - 1.0
    return count


@kernel
def cut(value: float, num: float, den: float) -> float:
    """Cut a value down to its step; a num of 0.0 leaves it as it is.

    Units: value at least zero, in what num / den is in.
    Source: Instrument.size, ROUND_DOWN.
    """
    if num <= 0.0:
        return value
    return whole_steps(value, num, den) * num / den


@kernel
def near_positive(value: float, num: float, den: float) -> float:
    """Round a value of at least zero to the nearest step, halves to the even one.

    Units: value in what num / den is in, num above zero.
    Source: ROUND_HALF_EVEN.
    """
    count = whole_steps(value, num, den)
    middle = (2.0 * count + 1.0) * num / (2.0 * den)
    odd = count - 2.0 * float(int(count * 0.5)) > 0.0
    if value > middle or (value == middle and odd):
        return (count + 1.0) * num / den
    return count * num / den


@kernel
def near(value: float, num: float, den: float) -> float:
    """Round a value to the nearest step, halves to the even one; a num of 0.0 leaves it as it is.

    Units: value of either sign, in what num / den is in.
    Source: Instrument.price and the simulator's cash, ROUND_HALF_EVEN.
    """
    if num <= 0.0:
        return value
    if value < 0.0:
        return -near_positive(-value, num, den)
    return near_positive(value, num, den)


@kernel
def tradable(size: float, price: float, min_size: float, min_notional: float) -> bool:
    """Whether a size meets the venue's minimums.

    Units: sizes in base units, price in quote currency per unit, min_notional in quote currency.
    Source: Instrument.tradable.
    """
    return size > 0.0 and size >= min_size and size * price >= min_notional


@kernel
def leg_sizes(
    whole: float, price: float, targets: int, num: float, den: float, min_size: float, min_notional: float
) -> tuple[float, float, float]:
    """Share a size out to the targets of an entry; a leg below the venue's minimum joins the first one.

    Units: whole in base units, cut to its step; price in quote currency per unit; targets 0 to 3; num / den the size
        step, num 0.0 for none.
    Source: docs/adr/0003 and the runner's intents; the shares are 1, 1/2 each, or 40, 40 and 20 %.
    """
    if targets < 2:  # noqa: PLR2004 - one target or none is one leg
        return whole, 0.0, 0.0
    share = 0.5 if targets < 3 else 0.4  # noqa: PLR2004 - see Source
    if num <= 0.0:
        first, last = whole * share, (whole * 0.2 if targets > 2 else 0.0)  # noqa: PLR2004 - see Source
        return whole - first - last, first, last
    count = whole_steps(whole, num, den)
    part = float(int(count * share))
    if not tradable(part * num / den, price, min_size, min_notional):
        return whole, 0.0, 0.0
    last = float(int(count * 0.2)) if targets > 2 else 0.0  # noqa: PLR2004 - see Source
    if not tradable(last * num / den, price, min_size, min_notional):
        last = 0.0
    return (count - part - last) * num / den, part * num / den, last * num / den
