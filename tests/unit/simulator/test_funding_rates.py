"""Funding rates: recorded where a file has them, the configured one elsewhere, nothing before its instant."""

from __future__ import annotations

from pathlib import Path

import pytest

from omega.errors import CorruptData
from services.simulator.funding_rates import INTERVAL_MS, load_rates, next_instant

AT = 1_746_432_000_000


def test_recorded_rate_is_known_from_its_instant_on(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT-8h.csv").write_text(f"ts,funding_rate\n{AT},0.0005\n{AT + INTERVAL_MS},-0.0002\n")

    rates = load_rates(tmp_path, ["BTCUSDT", "ETHUSDT"], 0.0001)

    assert rates.at("BTCUSDT", AT) == 0.0005
    assert rates.at("BTCUSDT", AT - INTERVAL_MS) == 0.0001
    assert [rates.known("BTCUSDT", AT + shift) for shift in (-1, 0, INTERVAL_MS - 1, INTERVAL_MS)] == [
        0.0001,
        0.0005,
        0.0005,
        -0.0002,
    ]
    assert rates.known("ETHUSDT", AT) == 0.0001
    assert next_instant(AT) == AT + INTERVAL_MS


@pytest.mark.parametrize("row", ["x,0.1", f"{AT},much", f"{AT},nan", f"{AT},0.9"])
def test_row_that_is_no_rate_is_refused_with_its_line(tmp_path: Path, row: str) -> None:
    (tmp_path / "BTCUSDT-8h.csv").write_text(f"ts,funding_rate\n{row}\n")

    with pytest.raises(CorruptData, match="line 2"):
        load_rates(tmp_path, ["BTCUSDT"], 0.0)
