"""Guards of the order path that the lab can switch off, to show that it would notice: patched in the child alone.

One table. Nothing in the services knows of it: a child process of the lab takes the guard out of its own copy of the
code before it runs the service. A place that has moved makes the child refuse to start, with the name of the place.
"""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from omega.errors import ConfigError, Unresolved

Patch = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard by name.

    Attributes:
        about: what it is.
        without: what the farm then does.
        scenario: the schedule in which its absence shows.
        expects: the invariants that break without it, one at least.
        patches: what takes it out, by the service that is patched.
    """

    name: str
    about: str
    without: str
    scenario: str
    expects: tuple[str, ...]
    patches: dict[str, Patch]


def place(path: str) -> tuple[Any, str, Any]:
    """Return (owner, name, present value) of `module:attribute` or `module:Class.attribute`.

    Raises:
        ConfigError: it is no longer there.
    """
    module, _, dotted = path.partition(":")
    try:
        owner: Any = importlib.import_module(module)
        *way, name = dotted.split(".")
        for step in way:
            owner = getattr(owner, step)
        return owner, name, getattr(owner, name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the lab wants to patch {path}, which has moved ({error}); bring omega/chaos along"
        ) from None


def patch(path: str, make: Callable[[Any], Any]) -> None:
    """Replace what stands at a path by what `make` returns for it."""
    owner, name, value = place(path)
    setattr(owner, name, make(value))


# fsync: `child` models the disk; this only takes the journal's own requests for synchronous commits and syncs away.


def _no_fsync() -> None:
    connection, _, execute = place("omega.chaos.disk:Watched.execute")

    def lazy(self: Any, sql: str, *values: Any) -> Any:
        return execute(self, "PRAGMA synchronous=OFF" if "synchronous" in sql.lower() else sql, *values)

    connection.execute = lazy
    patch("services.gateway.journal_file:JournalFile.sync", lambda _plain: lambda _self: None)


def _no_fence_in_gateway() -> None:
    patch("services.gateway.journal:Journal.fence", lambda _plain: lambda _self, _bot, _epoch: None)


def _no_fence_in_runner() -> None:
    """Believe in the lease for ever, and do not let the server compare epochs."""
    lease = "omega.bus.lease:RedisLease"
    patch(f"{lease}.held", lambda _plain: property(lambda _self: True))
    patch(f"{lease}.lost", lambda _plain: property(lambda _self: False))
    scripts, _, send = place("omega.bus._scripts:SEND")
    blind = send.text.replace("then return 'FENCED' end", "then local _ = 0 end")
    if blind == send.text:
        raise ConfigError("the fence in the script `send` has moved; bring omega/chaos/guards.py along")
    scripts.SEND = replace(send, text=blind)
    scripts.ALL = tuple(scripts.SEND if one is send else one for one in scripts.ALL)


def _no_dedup() -> None:
    """Every delivery of an intent is a new order: no memory of it, and a client id of its own each time."""
    patch(
        "services.gateway.orderpath:client_id",
        lambda plain: lambda intent, **more: plain(f"{intent}#{uuid.uuid4().hex}", **more),
    )

    def blind(plain: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
        def admit(self: Any, order: Any) -> bool:
            known = self.by_intent(order.intent_id)
            if known is None:
                return plain(self, order)
            return plain(self, replace(order, intent_id=f"{order.intent_id}#{uuid.uuid4().hex[:6]}"))

        return admit

    patch("services.gateway.journal:Journal.admit", blind)


def _no_look_up() -> None:
    """Send once more with a fresh client id when the outcome is in doubt, as clients do that retry."""

    def venue(plain: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def opened(settings: Any) -> Any:
            made = plain(settings)
            once = made.place

            async def twice(request: Any) -> Any:
                try:
                    return await once(request)
                except Unresolved:
                    again = f"o{uuid.uuid4().hex[:27]}"
                    return await once(replace(request, client_id=again))

            made.place = twice
            return made

        return opened

    patch("services.gateway.service:open_venue", venue)


def _no_reservation() -> None:
    """Count what is open, and forget what is under way."""
    patch("services.gateway.risk.reservations:Claim.rest", lambda _plain: property(lambda _self: Decimal(0)))
    patch("services.gateway.risk.rules:_others", lambda _plain: lambda *_given, **_more: [])


GUARDS: Final[dict[str, Guard]] = {
    row.name: row
    for row in (
        Guard(
            "fsync",
            "every commit of the journal is synced before an order leaves",
            "commits wait in the page cache; a power cut takes them",
            "power-loss",
            ("order_unknown", "intent_lost"),
            {"gateway": _no_fsync},
        ),
        Guard(
            "fence",
            "lease and epoch: a writer that has lost its lease is refused by itself, by the bus and by the journal",
            "a runner that stood still goes on beside its successor",
            "two-writers",
            ("fence_broken",),
            {"gateway": _no_fence_in_gateway, "runner": _no_fence_in_runner},
        ),
        Guard(
            "dedup",
            "an intent has one client id for ever, and the journal knows it",
            "an intent that comes twice is carried out twice",
            "redelivery",
            ("order_doubled",),
            {"gateway": _no_dedup},
        ),
        Guard(
            "look-up",
            "an answer that does not come is looked up, never sent again",
            "a time-out is retried with a fresh id",
            "ambiguous",
            ("order_unknown", "order_doubled"),
            {"gateway": _no_look_up},
        ),
        Guard(
            "reservation",
            "entries under way count against every limit",
            "entries that come together pass together",
            "crowd",
            ("limit_broken",),
            {"gateway": _no_reservation},
        ),
    )
}
"""Every guard; the only place that knows where each of them stands in the services."""

__all__ = ["GUARDS", "Guard", "patch", "place"]
