import tempfile

import pytest

from omega.bus.port import Bus
from omega.config import Database, Settings
from omega.runtime import BaseService
from omega.testing.service_contract import ServiceContract
from services.ledger import LedgerService


@pytest.mark.req("2.81", "2.129", "1.53")
class TestLedger(ServiceContract):
    """The ledger lives as every service does."""

    def settings(self) -> Settings:
        folder = tempfile.mkdtemp(prefix="omega-ledger-")
        return super().settings().model_copy(update={"database": Database(url=f"sqlite:///{folder}/farm.sqlite")})

    def make(self, settings: Settings, bus: Bus) -> BaseService:
        return LedgerService(settings=settings, bus=bus)
