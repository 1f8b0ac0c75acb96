"""Reading what a client sent: fields of a request as values, with the venue's refusals. Called by the REST handlers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from services.simulator.codes import Code, refuse
from services.simulator.figures import ZERO, nearest, number
from services.simulator.instruments import Instrument, Product
from services.simulator.orders import Presets

FORCES = frozenset({"gtc", "ioc", "fok", "post_only"})


@dataclass(frozen=True, slots=True)
class Fields:
    """The parameters of one request: a query's texts or a body's JSON values. Unknown keys are ignored."""

    values: Mapping[str, Any]

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as text, the default when it is absent."""
        value = self.values.get(name)
        return default if value is None else str(value)

    def need(self, name: str) -> str:
        """Return a parameter that must be there."""
        value = self.text(name)
        if not value:
            raise refuse(Code.EMPTY, name)
        return value

    def whole(self, name: str, default: int) -> int:
        """Return a whole number that is not negative."""
        value = self.text(name)
        if not value:
            return default
        if not value.isdigit():
            raise refuse(Code.VERIFY, f"{name} = {value!r} is no whole number")
        return int(value)

    def amount(self, name: str) -> Decimal:
        """Return a number, zero when it is absent or empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return ZERO
        parsed = number(value)
        if parsed is None:
            raise refuse(Code.VERIFY, f"{name} = {value!r} is no number")
        return parsed

    def price(self, name: str, instrument: Instrument) -> Decimal:
        """Return a price; one that came as a JSON number is rounded to the tick, a text is left to the checks."""
        parsed = self.amount(name)
        return nearest(parsed, instrument.tick) if isinstance(self.values.get(name), float) else parsed

    def choice(self, name: str, choices: Mapping[str, int] | frozenset[str], default: str = "") -> str:
        """Return one of the words allowed, compared without case."""
        value = self.text(name, default).lower()
        if value not in choices:
            raise refuse(Code.VERIFY, f"{name} = {value!r}: expected one of {', '.join(sorted(choices))}")
        return value

    def swap(self) -> None:
        """Refuse every product type but the one that is served."""
        if self.text("productType", Product.SWAP).upper() != Product.SWAP:
            raise refuse(Code.PARAMETER, f"productType {self.text('productType')} is not served")

    def presets(self, instrument: Instrument, names: tuple[str, str, str, str]) -> Presets:
        """Return the stop and target named by (stop, stop execute, target, target execute)."""
        return Presets(*(self.price(name, instrument) for name in names))

    def flag(self, name: str) -> bool:
        """Return YES or true as True."""
        return self.text(name).lower() in {"yes", "true"}
