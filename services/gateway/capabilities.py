"""What an exchange can do, as its adapter declares it: the rows of the capability matrix.

Read by the generic adapter, the command line and the generated page of venues.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final


class StopForm(StrEnum):
    """How a position gets its stop."""

    ATTACHED = "attached"
    """The stop rides on the entry: the position is never without."""
    SEPARATE = "separate"
    """The stop keeper places it after the fill; the time between is measured as naked time."""


class Resize(StrEnum):
    """How a resting stop gets another size."""

    AMEND = "amended in place"
    REPLACE = "replaced: the new one first, then the old one cancelled"


class CandleFeed(StrEnum):
    """How candles come."""

    PUSHED = "pushed"
    POLLED = "polled"


class Evidence(StrEnum):
    """What the adapter has been run against. None of it is the live venue."""

    SIMULATOR = "the local exchange, end to end"
    WIRE = "recorded and constructed wire shapes"


@dataclass(frozen=True, slots=True)
class ClientIdRule:
    """The venue's rule for our order ids: the field it travels in, its greatest length and its alphabet.

    `trigger_field` is the field of trigger orders where it differs.
    """

    field: str
    longest: int
    alphabet: str
    trigger_field: str = ""

    def allows(self, client_id: str) -> bool:
        """Tell whether the venue takes an id."""
        return 0 < len(client_id) <= self.longest and re.fullmatch(f"[{self.alphabet}]+", client_id) is not None


LABELS: Final = {
    "exchange": "exchange",
    "kinds": "instruments",
    "coin": "account coin",
    "contract": "one contract",
    "order_types": "order types",
    "stops": "stops",
    "resize": "stop size",
    "position_mode": "position mode",
    "client_id": "client id",
    "candles": "candles",
    "sandbox": "paper mode",
    "passphrase": "passphrase",
    "key_rights": "rights of the key",
    "evidence": "tested against",
}
"""The rows of the matrix and what they are called."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One column of the matrix.

    Attributes:
        exchange: the venue's own name of what is traded.
        coin: the coin in which the account is kept.
        contract: what one unit on the wire is.
        position_mode: how one-way mode is insisted on.
        sandbox: the hosts of the paper mode, empty without one.
        key_rights: where the rights of a key are read, empty when they cannot be.
        passphrase: whether a key has a passphrase beside its secret.
        notes: what a user must know.
    """

    exchange: str
    coin: str
    order_types: tuple[str, ...]
    stops: StopForm
    resize: Resize
    position_mode: str
    client_id: ClientIdRule
    contract: str
    candles: CandleFeed
    sandbox: str
    key_rights: str
    evidence: Evidence
    passphrase: bool = False
    kinds: tuple[str, ...] = ("swap",)
    notes: tuple[str, ...] = ()

    def row(self) -> dict[str, object]:
        """Return the declaration as plain values, ready for JSON."""
        return asdict(self)

    def cells(self) -> dict[str, str]:
        """Return the rows of the matrix by their names, as text."""
        return {label: _text(getattr(self, name)) for name, label in LABELS.items()}


def _text(value: object) -> str:
    if isinstance(value, ClientIdRule):
        where = f"{value.field} (stops: {value.trigger_field})" if value.trigger_field else value.field
        return f"{where}, up to {value.longest} of {value.alphabet}"
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "none"
