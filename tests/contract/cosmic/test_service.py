import pytest

from omega.bus.port import Bus
from omega.config import Settings
from omega.runtime import BaseService
from omega.testing.service_contract import ServiceContract
from services.cosmic import CosmicFactorService


@pytest.mark.req("2.81", "2.129")
class TestCosmic(ServiceContract):
    """The cosmic service lives as every service does."""

    def make(self, settings: Settings, bus: Bus) -> BaseService:
        return CosmicFactorService(settings=settings, bus=bus)
