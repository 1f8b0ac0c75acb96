"""The catalogue, and the metrics made from it."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from omega.errors import InvariantBroken
from omega.telemetry import ALERTS, METRICS, Kind, Metrics


@pytest.mark.req("0.37", "2.67", "4.58", "3.19")
def test_catalogue_every_row_is_sound() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name), metric.name
        assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER), metric.name
        assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM), metric.name
        assert metric.name.endswith("_seconds") or metric.kind is not Kind.HISTOGRAM, metric.name
        assert metric.help.endswith("."), metric.name
        assert list(metric.buckets) == sorted(metric.buckets)


@pytest.mark.req("0.12", "0.42")
def test_catalogue_has_its_alerts_over_catalogued_metrics() -> None:
    known = {metric.full_name for metric in METRICS}
    wanted = {
        "ServiceDown",
        "StaleData",
        "NakedPosition",
        "UnresolvedOrder",
        "Residual",
        "ClockSkew",
        "Halt",
        "LimitNearlyUsed",
        "CosmicFeedFailing",
    }
    assert {alert.name for alert in ALERTS} >= wanted | {"LedgerUnbalanced", "AuditChainBroken"}
    for alert in ALERTS:
        assert set(re.findall(r"omega_\w+", alert.expression)) <= known
        assert re.fullmatch(r"\d+s", alert.for_)
        assert alert.runbook.startswith("docs/runbooks/")


def test_metrics_every_row_can_be_made_and_scraped() -> None:
    metrics = Metrics()
    for row in METRICS:
        labels = ["x"] * len(row.labels)
        made = getattr(metrics, row.kind.value)(row.name)
        child = made.labels(*labels) if labels else made
        child.observe(0.1) if row.kind is Kind.HISTOGRAM else child.inc()

    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}

    for row in METRICS:
        name = row.full_name.removesuffix("_total") if row.kind is Kind.COUNTER else row.full_name
        assert families[name].type == row.kind.value
        assert families[name].documentation == row.help
    assert not [name for name in families if name.endswith("_created")]


def test_metrics_outside_of_the_catalogue_are_refused() -> None:
    with pytest.raises(InvariantBroken, match="invented_total is not in"):
        Metrics().counter("invented_total")
    with pytest.raises(InvariantBroken, match="bars_total is no gauge"):
        Metrics().gauge("bars_total")


@pytest.mark.req("1.49", "2.67", "2.70")
def test_metrics_mapping_shows_what_is_scraped() -> None:
    metrics = Metrics()
    metrics.counter("decisions_total").labels(bot="a").inc(2)
    metrics.counter("decisions_total").labels("b").inc()
    metrics.gauge("discord_connected").set(1)

    assert metrics["decisions_total"] == 3
    assert metrics['omega_decisions_total{bot="a"}'] == 2
    assert metrics["omega_discord_connected"] == 1
    assert len(metrics) == len(list(metrics)) == 3
    assert "nothing" not in metrics
    assert metrics.made == {"decisions_total", "discord_connected"}
