from omega.bus.port import Bus
from omega.config import Settings
from omega.runtime import BaseService
from omega.testing.service_contract import ServiceContract
from services.analytics import AnalyticsService


class TestAnalytics(ServiceContract):
    """The analytics service lives as every service does."""

    def make(self, settings: Settings, bus: Bus) -> BaseService:
        return AnalyticsService(settings=settings, bus=bus)
