"""A short real market for sweeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from omega.backtest.types import Market
from omega.storage.lake.read import read_market

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def market() -> Market:
    return read_market(ROOT / "data" / "candles" / "BTCUSDT-1m.parquet", to="2025-05-12")
