"""Which symbols move together: by the groups that are configured, else by the gateway's own bars. Pure."""

from __future__ import annotations

from omega.config import Risk
from services.gateway.risk.dynamic import Returns, correlation


class Correlations:
    """Tells the sign with which two symbols count together; measured anew after every bar that is asked about."""

    def __init__(self, settings: Risk) -> None:
        self._returns: dict[str, Returns] = {}
        self._found: dict[tuple[str, str], float] = {}
        self._group: dict[str, str] = {}
        self._keep, self._decay, self._threshold = 0, 0.0, 1.0
        self.configure(settings)

    def configure(self, settings: Risk) -> None:
        """Take changed settings; returns that were kept another way are begun anew."""
        kept = (settings.correlation.bars, settings.dynamic.decay)
        if kept != (self._keep, self._decay):
            self._returns.clear()
        self._keep, self._decay = kept
        self._threshold = settings.correlation.threshold
        self._group = {symbol: name for name, symbols in settings.correlation.groups.items() for symbol in symbols}
        self._found.clear()

    def hear(self, symbol: str, ts_ns: int, close: float) -> None:
        """Take the close of the next bar of a symbol."""
        self.returns(symbol).hear(ts_ns, close)
        self._found.clear()

    def returns(self, symbol: str) -> Returns:
        """Return what is kept of a symbol."""
        if symbol not in self._returns:
            self._returns[symbol] = Returns(keep=self._keep, decay=self._decay)
        return self._returns[symbol]

    def of(self, one: str, other: str) -> float:
        """Return the correlation of two symbols: 1 inside a group, 0 between groups, measured outside of them."""
        if one == other:
            return 1.0
        groups = self._group.get(one), self._group.get(other)
        if groups[0] is not None or groups[1] is not None:
            return 1.0 if groups[0] == groups[1] else 0.0
        pair = (one, other) if one < other else (other, one)
        if pair not in self._found:
            self._found[pair] = correlation(self.returns(one), self.returns(other))
        return self._found[pair]

    def sign(self, one: str, other: str) -> int:
        """Return +1 for symbols that move together, -1 against each other, 0 for neither."""
        value = self.of(one, other)
        return 0 if abs(value) < self._threshold else 1 if value > 0 else -1
