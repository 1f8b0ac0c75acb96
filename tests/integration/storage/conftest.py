"""One suite, two databases: a file of SQLite and a real PostgreSQL server."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from omega.storage.engine import Database
from omega.testing.databases import INSTALL, PostgresServer, postgres, postgres_bin


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    if postgres_bin() is None:
        pytest.skip(INSTALL)
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/farm.sqlite"
    running: PostgresServer = request.getfixturevalue("server")
    return running.create()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = Database(url)
    yield opened
    await opened.close()
