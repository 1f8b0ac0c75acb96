"""Candle files as a stranger would hand them in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

START_MS = 1_746_403_200_000
HEADER = "ts,open,high,low,close,volume"
ROWS = [f"{START_MS + 60_000 * k},{100 + k}.5,{101 + k}.5,{99 + k}.25,{100 + k}.75,{k}.125" for k in range(10)]


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    def write(rows: list[str], header: str = HEADER, name: str = "BTCUSDT-1m.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def rows() -> list[str]:
    return list(ROWS)


@pytest.fixture
def shared() -> Path:
    folder = Path(os.environ.get("OMEGA_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if not (folder / "ohlcv").is_dir():
        pytest.skip(f"recorded candles are absent: {folder}/ohlcv (set OMEGA_SHARED_DATA to the folder that holds it)")
    return folder
