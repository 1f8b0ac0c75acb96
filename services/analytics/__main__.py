"""Start the analytics service: `python -m services.analytics`."""

from omega.runtime import run
from services.analytics import AnalyticsService

if __name__ == "__main__":
    run(lambda settings, bus: AnalyticsService(settings=settings, bus=bus), name="analytics")
