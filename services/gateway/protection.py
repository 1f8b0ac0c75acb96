"""What stops should stand at the venue, and the deeds from what stands to what should. Pure; asked by the stop keeper.

One-way mode shows the venue only the net position, and a reduce-only stop can stand on its side alone: the bots on that side
carry stops, tightest first, until their sizes sum to the net. What offsets carries no net risk; the gateway watches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from omega.domain import EXTERNAL
from services.gateway.rows import Guard
from services.gateway.venue import PlanKind, PlanOrder, closing_side

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One protection that should stand: for whom, what, how much, where."""

    bot: str
    kind: PlanKind
    size: Decimal
    trigger: Decimal


@dataclass(frozen=True, slots=True)
class Deed:
    """One change at the venue. `plan` is None when an order is to be placed; a size of zero cancels."""

    bot: str
    kind: PlanKind
    size: Decimal
    trigger: Decimal
    plan: PlanOrder | None = None

    @property
    def raises(self) -> bool:
        """Tell whether it adds protection."""
        return self.plan is None or self.size > self.plan.size


def wanted(sizes: Mapping[str, Decimal], guards: Mapping[str, Guard]) -> list[Wanted]:
    """Return the protections of one symbol: sizes are the books, EXTERNAL among them."""
    net = sum(sizes.values(), ZERO)
    if not net:
        return []
    long = net > 0
    side = {bot: size for bot, size in sizes.items() if (size > 0) == long and size and bot != EXTERNAL}
    guarded = [(guard.stop, bot) for bot in side if (guard := guards.get(bot)) and guard.stop is not None]
    guarded.sort(key=lambda item: (-item[0] if long else item[0], item[1]))
    left, found = abs(net), list[Wanted]()
    for stop, bot in guarded:
        size = min(abs(side[bot]), left)
        if not size:
            break
        left -= size
        found.append(Wanted(bot, PlanKind.STOP, size, stop))
        target = guards[bot].target
        if target is not None:
            found.append(Wanted(bot, PlanKind.TARGET, size, target))
    return found


def adopt(
    wants: Sequence[Wanted], plans: Sequence[PlanOrder], owners: Mapping[str, str], net: Decimal
) -> dict[str, str]:
    """Return order id -> bot for plans without an owner that fit a wish: side, kind, trigger, best an equal size.

    They are the children of presets, which carry no client id of ours.
    """
    side = closing_side(net)
    owned = {plan.order_id for plan in plans if plan.order_id in owners}
    missing = {(want.bot, want.kind): want.size for want in wants}
    for plan in plans:
        if plan.order_id in owned and (owners[plan.order_id], plan.kind) in missing:
            missing[owners[plan.order_id], plan.kind] -= plan.size
    found: dict[str, str] = {}
    for plan in plans:
        if plan.order_id in owned or plan.side is not side:
            continue
        fits = [w for w in wants if w.kind is plan.kind and w.trigger == plan.trigger and missing[w.bot, w.kind] > 0]
        if fits:
            best = min(fits, key=lambda want: (missing[want.bot, want.kind] != plan.size, want.bot))
            found[plan.order_id] = best.bot
            missing[best.bot, best.kind] -= plan.size
    return found


def deeds(
    wants: Sequence[Wanted], plans: Sequence[PlanOrder], owners: Mapping[str, str], *, external: Decimal, net: Decimal
) -> list[Deed]:
    """Return the changes that lead from the live plans to the wishes: raise protection first, lower it after.

    Plans without an owner are a person's: they stay as long as the EXTERNAL book is open, and so do triggers that are
    neither stop nor target.
    """
    side = closing_side(net)
    found: list[Deed] = []
    kept: set[str] = set()
    for want in wants:
        mine = [p for p in plans if owners.get(p.order_id) == want.bot and p.kind is want.kind]
        right = [p for p in mine if p.trigger == want.trigger and p.side is side]
        kept.update(plan.order_id for plan in right)
        found.extend(_level(want, right))
    for plan in plans:
        stranger = plan.order_id not in owners
        if plan.order_id in kept or plan.kind is PlanKind.OTHER or (stranger and external):
            continue
        found.append(Deed(owners.get(plan.order_id, ""), plan.kind, ZERO, plan.trigger, plan))
    return sorted(found, key=lambda deed: not deed.raises)


def covered(bot: str, plans: Sequence[PlanOrder], owners: Mapping[str, str]) -> Decimal:
    """Return how much of a bot's position its live stops cover."""
    return sum((p.size for p in plans if p.kind is PlanKind.STOP and owners.get(p.order_id) == bot), ZERO)


def unwatched(sizes: Mapping[str, Decimal], wants: Sequence[Wanted]) -> dict[str, Decimal]:
    """Return the signed part of each bot's position that no venue stop can carry: it offsets another bot's."""
    carried = {want.bot: want.size for want in wants if want.kind is PlanKind.STOP}
    found = {
        bot: (abs(size) - carried.get(bot, ZERO)) * (1 if size > 0 else -1)
        for bot, size in sizes.items()
        if bot != EXTERNAL
    }
    return {bot: part for bot, part in found.items() if part}


def _level(want: Wanted, right: Sequence[PlanOrder]) -> list[Deed]:
    """Bring the stops of one wish to its size."""
    have = sum((plan.size for plan in right), ZERO)
    if have < want.size:
        if len(right) == 1:
            return [Deed(want.bot, want.kind, want.size, want.trigger, right[0])]
        return [Deed(want.bot, want.kind, want.size - have, want.trigger)]
    found: list[Deed] = []
    excess = have - want.size
    for plan in sorted(right, key=lambda plan: (plan.size, plan.order_id)):
        if not excess:
            break
        cut = min(plan.size, excess)
        excess -= cut
        found.append(Deed(want.bot, want.kind, plan.size - cut, want.trigger, plan))
    return found


def merged(guard: Guard, *, stop: Decimal | None, target: Decimal | None, side: int) -> Guard:
    """Return a guard with the triggers of a new entry; its generation goes on."""
    return replace(guard, stop=stop, target=target, side=side)
