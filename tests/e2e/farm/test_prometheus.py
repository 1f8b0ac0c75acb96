"""A real Prometheus scrapes a running farm: every question of the dashboard has its answer, every alert its rule."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from pathlib import Path

import pytest

from omega.cli.farm import Farm
from omega.config.loader import load
from omega.testing.farm import farm_options
from omega.testing.prometheus import PrometheusServer, empty, missing, panels, refused

ROOT = Path(__file__).resolve().parents[3]
DASHBOARD = ROOT / "deploy/grafana/dashboards/farm.json"
RULES = ROOT / "deploy/prometheus/rules/farm.yml"
BARS = 150
METRIC = re.compile(r"omega_\w+")
SILENT = {
    # nothing was refused, missed, broken, kept out or restarted in a sound run
    "omega_errors_total",
    "omega_intents_denied_total",
    "omega_bar_gaps_total",
    "omega_bars_quarantined_total",
    "omega_breaker_opened_total",
    "omega_task_restarts_total",
    "omega_config_restart_required",
    "omega_rate_limited_total",
    "omega_external_fills_total",
    "omega_external_size",
    "omega_protections_active",
    "omega_risk_latched",
    # one venue alone agrees with itself
    "omega_consensus_price",
    "omega_consensus_members",
    "omega_consensus_spread",
    "omega_venue_quarantined",
    # the ledger proves itself every ten minutes
    "omega_ledger_chain_records",
    "omega_ledger_chain_breaks",
    "omega_ledger_checked_seconds",
    "omega_ledger_faults",
    "omega_ledger_imbalance",
    # no round trip may have ended yet
    "omega_bot_win_rate",
    "omega_account_win_rate",
    # no bot of this farm has a trader's mind
    "omega_bot_emotion",
    "omega_bot_mind",
    "omega_bot_mind_size",
    # nothing is fetched from outside unless somebody switches a feed on
    "omega_cosmic_feed_circuit",
    "omega_cosmic_feed_age_seconds",
    "omega_cosmic_feed_fetches_total",
    # nobody asked for an analysis, and no timer is set
    "omega_analytics_answers_total",
    "omega_analytics_age_seconds",
    "omega_analytics_job_seconds_bucket",
    "omega_analytics_worker_ended_total",
    # no Discord bot is part of the farm without a token
    "omega_discord_connected",
    "omega_discord_ack_seconds_bucket",
    "omega_discord_commands_total",
    "omega_discord_notices_total",
    # no service of this farm takes messages through BaseService.process
    "omega_messages_total",
    "omega_handler_seconds_bucket",
}
"""Metrics whose panels may stay empty here."""


@pytest.mark.slow
@pytest.mark.req("0.41")
@pytest.mark.skipif(bool(missing()), reason=f"Prometheus is absent, the panels are not tried on a farm: {missing()}")
async def test_prometheus_running_farm_answers_every_panel(tmp_path: Path) -> None:
    """Empty are only the panels of what cannot have happened in a sound run (SILENT)."""
    home, store = tmp_path / "farm", tmp_path / "prometheus"
    store.mkdir()
    async with Farm(load().settings, farm_options(home)) as farm:
        assert farm.conductor is not None
        children = farm.processes.children.values()
        targets = {child.name: [f"127.0.0.1:{child.port}"] for child in children if child.port}
        server = PrometheusServer(store, targets, rules=[RULES])
        await asyncio.to_thread(server.__enter__)
        try:
            await asyncio.to_thread(server.wait_for, f"count(up == 1) == {len(targets)}", within_s=60)
            await farm.conductor.run(BARS, lambda _done: None)
            for _ in range(2):  # a rate needs two scrapes after the last bar
                await asyncio.sleep(1.2)
            for metric in (
                "omega_fills_total > 0",
                "omega_residual",
                "service:cpu:rate_5m",
            ):  # books are compared every ten seconds
                await asyncio.to_thread(server.wait_for, metric, within_s=60)
            errors = await asyncio.to_thread(refused, server, DASHBOARD)
            silent = set(await asyncio.to_thread(empty, server, DASHBOARD))
            bots = await asyncio.to_thread(server.query, "sum by (bot) (omega_decisions_total)")
            firing = await asyncio.to_thread(server.alerts)
            rules = await asyncio.to_thread(_rules, server.url)
        finally:
            await asyncio.to_thread(server.stop)

    assert errors == {}
    assert {labels["bot"]: value for labels, value in bots.series} == dict.fromkeys(farm.options.bots, str(BARS))
    asked = {panel.title: METRIC.findall(panel.expression) for panel in panels(DASHBOARD)}
    assert {title: asked[title] for title in silent if not SILENT.issuperset(asked[title])} == {}
    firing.pop("ProcessorNearLimit", None)  # a replay at full speed uses what there is
    assert firing == {}
    assert set(rules) >= {"ServiceDown", "StaleData", "NakedPosition", "UnresolvedOrder", "Halt", "AuditChainBroken"}
    assert set(rules.values()) == {"ok"}


def _rules(url: str) -> dict[str, str]:
    with urllib.request.urlopen(url + "/api/v1/rules", timeout=60) as answer:
        groups = json.loads(answer.read())["data"]["groups"]
    return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
