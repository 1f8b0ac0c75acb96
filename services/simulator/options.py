"""What the simulator can be told at start; the composition root fills it from settings and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from services.simulator.account import AccountSpec

DATA = Path(__file__).resolve().parents[2] / "data"
"""The candles that the project carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Options of one simulator.

    Attributes:
        speed: how many times faster than recorded the clock runs; 0 is lock-step, it moves on admin calls alone.
        start: ISO time of the replay's first open minute; empty: `warmup` minutes after the first candle.
        slippage: what a market order pays over the price, a fraction.
        default_funding: rate for funding instants that no file records, a fraction per eight hours.
        spread: ask minus bid of the synthetic book as a fraction of the price, one tick at least.
        hold: the running clock waits for `POST /go` on the admin port before its first stretch.
        state: file that keeps every input, so that a killed simulator comes back as it was; empty: none.
    """

    data: Path = DATA
    symbols: tuple[str, ...] = ()
    fill_gaps: bool = False
    start: str = ""
    warmup: int = 2880
    speed: float = 1.0
    seed: int = 1
    slippage: float = 0.0002
    leverage: int = 20
    default_funding: float = 0.0001
    book_depth: int = 50
    spread: float = 0.0001
    checksums: bool = True
    state: str = ""
    hold: bool = False
    limits: bool = True
    accounts: tuple[AccountSpec, ...] = field(default_factory=lambda: (AccountSpec(),))

    @property
    def lockstep(self) -> bool:
        """Whether the clock waits for admin calls."""
        return self.speed <= 0
