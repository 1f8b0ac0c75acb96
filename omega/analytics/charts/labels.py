"""Words at the right edge that do not lie on one another. Called by the price chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_ROUNDS: Final = 200
_TOUCH: Final = -1e-12


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move heights apart until any two lie at least `gap` apart, each as near to where it wants to be as that allows.

    Heights keep their order. What does not fit between low and high is squeezed evenly.
    """
    if not wanted:
        return []
    order = sorted(range(len(wanted)), key=lambda k: wanted[k])
    room = min(gap, (high - low) / max(len(wanted) - 1, 1))
    placed = [min(max(wanted[k], low), high) for k in order]
    # Neighbours that are too close are one block, whose middle is the mean of what its members want.
    blocks = [[height, 1.0, height] for height in placed]  # middle, members, sum of wishes less their offsets
    at = 0
    for _ in range(_ROUNDS * len(blocks)):
        if at + 1 >= len(blocks):
            break
        (mid, count, total), (next_mid, next_count, next_total) = blocks[at], blocks[at + 1]
        if next_mid - next_count * room / 2 - (mid + count * room / 2) >= _TOUCH:
            at += 1
            continue
        members = count + next_count
        middle = (total + next_total) / members
        half = (members - 1) * room / 2
        middle = min(max(middle, low + half), high - half)
        blocks[at : at + 2] = [[middle, members, total + next_total]]
        at = max(at - 1, 0)
    heights = [mid + (k - (count - 1) / 2) * room for mid, count, _ in blocks for k in range(int(count))]
    made = [0.0] * len(wanted)
    for place, k in enumerate(order):
        made[k] = heights[place]
    return made
