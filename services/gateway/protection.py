"""What stops should stand at the venue, and the deeds from what stands to what should. Pure; asked by the stop keeper.

One-way mode shows the venue only the net position, and a reduce-only stop can stand on its side alone: the bots on
that side carry stops, tightest first, until their sizes sum to the net. What offsets carries no net risk; the gateway
watches it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from omega.domain import EXTERNAL
from services.gateway.rows import Guard
from services.gateway.venue import PlanKind, PlanOrder, closing_side

ZERO = Decimal(0)

Holder = tuple[str, str]
"""Whose protection it is: (bot, leg)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One protection that should stand: for whom, what, how much, where."""

    holder: Holder
    kind: PlanKind
    size: Decimal
    trigger: Decimal


@dataclass(frozen=True, slots=True)
class Deed:
    """One change at the venue. `plan` is None when an order is to be placed; a size of zero cancels."""

    holder: Holder
    kind: PlanKind
    size: Decimal
    trigger: Decimal
    plan: PlanOrder | None = None

    @property
    def bot(self) -> str:
        """The bot that it is done for, empty for a stranger's order."""
        return self.holder[0]

    @property
    def raises(self) -> bool:
        """Tell whether it adds protection."""
        return self.plan is None or self.size > self.plan.size or self.moves

    @property
    def lowers(self) -> bool:
        """Tell whether it takes protection away; one that moves may do both."""
        return self.plan is not None and self.size < self.plan.size

    @property
    def moves(self) -> bool:
        """Tell whether a standing order gets another trigger."""
        return self.plan is not None and bool(self.size) and self.trigger != self.plan.trigger

    @property
    def resizes(self) -> bool:
        """Tell whether a standing order gets another size and keeps its trigger."""
        return self.plan is not None and bool(self.size) and not self.moves


def wanted(sizes: Mapping[str, Decimal], guards: Sequence[Guard]) -> list[Wanted]:
    """Return the protections of one symbol: sizes are the books, EXTERNAL among them, guards the legs of all bots."""
    net = sum(sizes.values(), ZERO)
    if not net:
        return []
    long = net > 0
    held = {bot: abs(size) for bot, size in sizes.items() if (size > 0) == long and bot != EXTERNAL}
    legs = [(guard.stop, guard) for guard in guards if guard.bot in held and guard.stop is not None]
    legs.sort(key=lambda leg: -leg[0] if long else leg[0])
    left, found = abs(net), list[Wanted]()
    for stop, guard in legs:
        size = min(guard.size, held[guard.bot], left)
        if not size:
            continue
        left -= size
        held[guard.bot] -= size
        holder = (guard.bot, guard.leg)
        found.append(Wanted(holder, PlanKind.STOP, size, stop))
        if guard.target is not None:
            found.append(Wanted(holder, PlanKind.TARGET, size, guard.target))
    return found


def adopt(
    wants: Sequence[Wanted], plans: Sequence[PlanOrder], owners: Mapping[str, Holder], net: Decimal
) -> dict[str, Holder]:
    """Return order id -> holder for plans without an owner that fit a wish: side, kind, trigger, best an equal size.

    They are the children of presets, which carry no client id of ours. Among equals the older goes to the older leg.
    """
    side = closing_side(net)
    missing = {(want.holder, want.kind): want.size for want in wants}
    for plan in plans:
        key = (owners.get(plan.order_id, ("", "")), plan.kind)
        if key in missing:
            missing[key] -= plan.size
    found: dict[str, Holder] = {}
    for plan in sorted(plans, key=lambda plan: (len(plan.order_id), plan.order_id)):
        if plan.order_id in owners or plan.side is not side:
            continue
        fits = [w for w in wants if w.kind is plan.kind and w.trigger == plan.trigger and missing[w.holder, w.kind] > 0]
        if fits:
            best = next((want for want in fits if missing[want.holder, want.kind] == plan.size), fits[0])
            found[plan.order_id] = best.holder
            missing[best.holder, best.kind] -= plan.size
    return found


def deeds(
    wants: Sequence[Wanted],
    plans: Sequence[PlanOrder],
    owners: Mapping[str, Holder],
    *,
    external: Decimal,
    net: Decimal,
) -> list[Deed]:
    """Return the changes that lead from the live plans to the wishes: raise protection first, lower it after.

    Plans without an owner are a person's: they stay as long as the EXTERNAL book is open, and so do triggers that are
    neither stop nor target.
    """
    side = closing_side(net)
    found: list[Deed] = []
    kept: set[str] = set()
    for want in wants:
        mine = [p for p in plans if owners.get(p.order_id) == want.holder and p.kind is want.kind]
        right = [p for p in mine if p.trigger == want.trigger and p.side is side]
        elsewhere = [p for p in mine if p.trigger != want.trigger and p.side is side]
        if not right and len(elsewhere) == 1:
            kept.add(elsewhere[0].order_id)
            found.append(Deed(want.holder, want.kind, want.size, want.trigger, elsewhere[0]))
            continue
        kept.update(plan.order_id for plan in right)
        found.extend(_level(want, right))
    for plan in plans:
        stranger = plan.order_id not in owners
        if plan.order_id in kept or plan.kind is PlanKind.OTHER or (stranger and external):
            continue
        found.append(Deed(owners.get(plan.order_id, ("", "")), plan.kind, ZERO, plan.trigger, plan))
    return sorted(found, key=lambda deed: (not deed.raises, deed.lowers))


def must_wait(deed: Deed, lacking: Collection[PlanKind], net: Decimal) -> bool:
    """Tell whether a deed has to wait because what should stand instead of its order does not.

    The net position is one: where the stop of one bot takes over from another's, the old one protects until the new one
    stands, whoever owns it. What stands on the other side protects nothing.

    Args:
        deed: the next one, in the order of `deeds`.
        lacking: the kinds of which a raise of this symbol was not carried out in this pass.
        net: signed position of the symbol.
    """
    return deed.lowers and deed.kind in lacking and deed.plan is not None and deed.plan.side is closing_side(net)


def covered(bot: str, plans: Sequence[PlanOrder], owners: Mapping[str, Holder]) -> Decimal:
    """Return how much of a bot's position its live stops cover."""
    mine = (p.size for p in plans if p.kind is PlanKind.STOP and owners.get(p.order_id, ("", ""))[0] == bot)
    return sum(mine, ZERO)


def stop_sizes(wants: Sequence[Wanted]) -> dict[str, Decimal]:
    """Return how much of each bot's position stops should cover."""
    found: dict[str, Decimal] = {}
    for want in wants:
        if want.kind is PlanKind.STOP:
            found[want.holder[0]] = found.get(want.holder[0], ZERO) + want.size
    return found


def unwatched(guards: Sequence[Guard], wants: Sequence[Wanted]) -> list[tuple[Guard, Decimal]]:
    """Return each leg with the signed part of it that no venue stop can carry: it offsets another bot's."""
    carried = {want.holder: want.size for want in wants if want.kind is PlanKind.STOP}
    parts = [(guard, guard.size - carried.get((guard.bot, guard.leg), ZERO)) for guard in guards]
    return [(guard, part * guard.side) for guard, part in parts if part > 0]


def unguarded(sizes: Mapping[str, Decimal], guards: Sequence[Guard]) -> dict[str, Decimal]:
    """Return the signed part of each bot's position that no entry of its own accounts for: nothing says where it stops.

    A stop and an exit that were both filled leave one, where other bots hold the symbol too.
    """
    found: dict[str, Decimal] = {}
    for bot, size in sizes.items():
        legs = sum((guard.size for guard in guards if guard.bot == bot and guard.side * size > 0), ZERO)
        if bot != EXTERNAL and legs < abs(size):
            found[bot] = size - legs if size > 0 else size + legs
    return found


def _level(want: Wanted, right: Sequence[PlanOrder]) -> list[Deed]:
    """Bring the stops of one wish to its size."""
    have = sum((plan.size for plan in right), ZERO)
    if have < want.size:
        if len(right) == 1:
            return [Deed(want.holder, want.kind, want.size, want.trigger, right[0])]
        return [Deed(want.holder, want.kind, want.size - have, want.trigger)]
    found: list[Deed] = []
    excess = have - want.size
    # One that is exactly too much goes first: it is what its replacement has not been rid of.
    for plan in sorted(right, key=lambda plan: (plan.size != excess, plan.size, plan.order_id)):
        if not excess:
            break
        cut = min(plan.size, excess)
        excess -= cut
        found.append(Deed(want.holder, want.kind, plan.size - cut, want.trigger, plan))
    return found
