"""What Prometheus, Grafana and kustomize read says what the code says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from omega.telemetry.catalogue import ALERTS, METRICS, RECORDINGS
from omega.testing.loading import module_at
from omega.topology import farm

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return module_at(ROOT / "deploy/generate.py")


@pytest.mark.req("0.12", "4.58")
def test_generated_files_are_up_to_date(generate: ModuleType) -> None:
    assert generate.stale() == []


def test_generate_names_what_is_old_and_write_mends_it(generate: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config/base.yaml").write_text("trading:\n  capital: 5\n")
    left = tmp_path / generate.CONFIG / "files" / "bots.gone.yaml"
    left.parent.mkdir(parents=True)
    left.write_text("{}")

    assert f"{generate.CONFIG}/files/base.yaml" in generate.stale(tmp_path)
    generate.write(tmp_path)

    assert generate.stale(tmp_path) == []
    assert not left.exists()
    assert (tmp_path / generate.CONFIG / "files/base.yaml").read_text() == "trading:\n  capital: 5\n"


def test_dashboard_shows_every_metric_and_alert_of_the_catalogue_and_nothing_else(generate: ModuleType) -> None:
    panels = json.loads(generate.dashboard())["panels"]
    expressions = " ".join(target["expr"] for panel in panels for target in panel.get("targets", ()))
    names = {metric.full_name for metric in METRICS}

    shown = {re.sub(r"_bucket$", "", name) for name in re.findall(r"omega_\w+", expressions)}
    assert shown == names
    assert [panel["title"] for panel in panels if panel["type"] == "stat"] == [alert.name for alert in ALERTS]


def test_dashboard_panels_do_not_overlap(generate: ModuleType) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(generate.dashboard())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken.get((x, y))}"
                taken[x, y] = panel["title"]


@pytest.mark.req("0.12")
def test_rules_link_to_runbooks_that_say_what_to_do(generate: ModuleType) -> None:
    group, _ = yaml.safe_load(generate.rules())["groups"]

    assert len(group["rules"]) == len(ALERTS)
    for rule in group["rules"]:
        page = (ROOT / rule["annotations"]["runbook_url"]).read_text()
        assert page.startswith(f"# {rule['alert']}: ")
        assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Symptom", "What it means", "What to do", "Commands"]


@pytest.mark.req("4.60", "4.58")
def test_rules_every_alert_and_every_recorded_figure_has_a_test_for_promtool() -> None:
    """An alert that nobody has seen fire, and stay quiet, is a hope."""
    cases = yaml.safe_load((ROOT / "deploy/prometheus/tests/farm.yml").read_text())["tests"]
    tried = {row["alertname"]: False for case in cases for row in case.get("alert_rule_test", ())}
    for case in cases:
        for row in case.get("alert_rule_test", ()):
            tried[row["alertname"]] |= bool(row["exp_alerts"])
    asked = " ".join(row["expr"] for case in cases for row in case.get("promql_expr_test", ()))

    assert tried == {alert.name: True for alert in ALERTS}
    assert [row.name for row in RECORDINGS if row.name not in asked] == []


@pytest.mark.req("3.30", "3.32", "3.33")
def test_dashboard_shows_every_figure_that_prometheus_records(generate: ModuleType) -> None:
    panels = json.loads(generate.dashboard())["panels"]
    shown = {target["expr"] for panel in panels for target in panel.get("targets", ())}

    assert {row.name for row in RECORDINGS} <= shown
    assert {"job:up:ratio_1d", "service:errors:rate_5m", "service:cpu:rate_5m", "service:memory:max_1h"} <= shown


def test_prometheus_scrapes_every_service_by_name(generate: ModuleType) -> None:
    jobs = {job["job_name"]: job for job in yaml.safe_load(generate.prometheus())["scrape_configs"]}

    assert set(jobs) == {spec.label for spec in farm(discord=True)}
    for spec in farm():
        assert jobs[spec.label]["static_configs"] == [{"targets": [f"{spec.label}:{spec.port}"]}]
