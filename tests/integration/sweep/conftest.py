"""A short real market, a plan over it, and the databases a study may live in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from omega.backtest.run import RULES
from omega.backtest.sweep.goal import goals_of
from omega.backtest.sweep.job import Job
from omega.backtest.sweep.plan import Plan
from omega.backtest.sweep.space import space_of
from omega.backtest.types import Costs, Market
from omega.plugins import strategies
from omega.storage.lake.read import read_market
from omega.testing.databases import INSTALL, PostgresServer, postgres, postgres_bin

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def market() -> Market:
    return read_market(ROOT / "data" / "candles" / "BTCUSDT-1m.parquet", to="2025-05-12")


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    if postgres_bin() is None:
        pytest.skip(INSTALL)
    with postgres() as running:
        yield running


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/deep/sweeps.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, sqlite: str) -> str:
    if request.param == "sqlite":
        return sqlite
    running: PostgresServer = request.getfixturevalue("server")
    return running.create().replace("postgresql+asyncpg", "postgresql+pg8000")


@pytest.fixture
def planned() -> Callable[..., Plan]:
    """Return a maker of plans: a grid of 40 over ema_cross, unless said otherwise."""
    strategies.discover()
    params = strategies.get("ema_cross").params

    def make(storage: str, **more: Any) -> Plan:
        space = space_of(params, more.pop("space", ["fast=5:23:2", "slow=30:90:20"]), {})
        given: dict[str, Any] = {
            "study": "one",
            "storage": storage,
            "job": Job("ema_cross", {}, RULES, Costs(), 10_000.0),
            "space": space,
            "search": "grid",
            "trials": 0,
            "seed": 0,
            "goals": goals_of(["sharpe"]),
        }
        return Plan(**(given | more))

    return make
