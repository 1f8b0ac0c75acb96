"""Analyses of markets, books and trades: on request and on timers, cached with their age, published as records."""

from services.analytics.service import AnalyticsService

__all__ = ["AnalyticsService"]
