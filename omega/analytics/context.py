"""What an analysis is given: bars, and what else could be gathered. Built by the CLI and the service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from omega.analytics.analysis import Input
from omega.domain.bar import Bar
from omega.domain.time import timeframe_ns
from omega.errors import Denied

if TYPE_CHECKING:
    from omega.engine.bars import Bars


def _none() -> Mapping[str, Bars]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Held:
    """One open position of an account.

    Units: size in base units, negative when short; prices in quote currency, 0.0 where there is none or none is known.
    """

    account: str
    bot: str
    symbol: str
    size: float
    entry: float
    mark: float
    stop: float = 0.0


@dataclass(frozen=True, slots=True)
class Books:
    """What an account holds; equity in quote currency, unrealised profit included."""

    equity: float
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What the ledger knows of one bot.

    Units: capital in quote currency; equity points are (close of a bar in ns UTC, quote currency, capital included).

    Attributes:
        trades: rows of the ledger's answer `trades`.
    """

    bot: str
    capital: float
    equity: tuple[tuple[int, float], ...]
    trades: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Context:
    """The inputs of one analysis.

    Attributes:
        symbol: as the asker wrote it.
        timeframe: of the bars, as in `1h`.
        now_ns: the instant of the analysis; nothing later is read.
        market: the symbol's bars; None where an analysis needs none.
        peers: bars of other symbols at the same timeframe, for correlations.
        books: open positions; None where nobody could be asked.
        records: trades and equity of the bots; None where nobody could be asked.
        ticks: folder of recorded order-book ticks; None where there is none.
        inputs: what was gathered from where, and how old it is.
    """

    symbol: str
    timeframe: str
    now_ns: int
    market: Bars | None = None
    peers: Mapping[str, Bars] = field(default_factory=_none)
    books: Books | None = None
    records: tuple[Record, ...] | None = None
    ticks: Path | None = None
    inputs: tuple[Input, ...] = ()

    @property
    def bars(self) -> Bars:
        """The symbol's bars.

        Raises:
            Denied: there are none.
        """
        if self.market is None or not self.market.n:
            raise Denied(f"there are no {self.timeframe} bars of {self.symbol}", rule="bars")
        return self.market

    @property
    def dataset(self) -> str:
        """The market's name in the evidence: BTC-USDT.P is BTCUSDT."""
        return self.symbol.split(".", maxsplit=1)[0].replace("-", "").upper()

    @property
    def length_ns(self) -> int:
        """The length of a bar."""
        return timeframe_ns(self.timeframe)

    def has(self, need: str) -> bool:
        """Tell whether what an analysis needs was gathered."""
        found = {"bars": self.market, "books": self.books, "trades": self.records, "ticks": self.ticks}[need]
        return found is not None


def columns(bars: Iterable[Bar]) -> Bars:
    """Return bars that came one by one as columns; a bar that is not after the one before is left out.

    Raises:
        CorruptData: a bar is unsound.
    """
    import numpy as np

    from omega.engine.bars import Bars

    by_time = {bar.ts_ns: bar for bar in bars}
    rows = [by_time[ts] for ts in sorted(by_time)]
    names = ("open", "high", "low", "close", "volume")
    return Bars.of(
        np.array([row.ts_ns for row in rows], dtype=np.int64), *([getattr(row, n) for row in rows] for n in names)
    )
