"""A real Prometheus accepts the configuration, the rules and every question of the dashboard."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from omega.telemetry.catalogue import METRICS, RECORDINGS, Kind
from omega.telemetry.metrics import Metrics
from omega.testing.prometheus import PrometheusServer, empty, missing, refused

ROOT = Path(__file__).resolve().parents[3]
DASHBOARD = ROOT / "deploy/grafana/dashboards/farm.json"
RULES = ROOT / "deploy/prometheus/rules/farm.yml"
HISTOGRAMS_NEED = "rates need two scrapes"

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"Prometheus is absent: {missing()}")


def _filled() -> Metrics:
    """Return metrics in which every row of the catalogue has one series."""
    metrics = Metrics()
    for metric in METRICS:
        labels = {label: f"some-{label}" for label in metric.labels}
        if metric.kind is Kind.COUNTER:
            counter = metrics.counter(metric.name)
            (counter.labels(**labels) if labels else counter).inc()
        elif metric.kind is Kind.GAUGE:
            gauge = metrics.gauge(metric.name)
            (gauge.labels(**labels) if labels else gauge).set(0)
        else:
            histogram = metrics.histogram(metric.name)
            (histogram.labels(**labels) if labels else histogram).observe(0.001)
    metrics.gauge("bot_decided_seconds").labels("some-bot").set_to_current_time()  # else the bot has been idle for long
    metrics.gauge("bot_bar_seconds").labels("some-bot").set(3_600)
    return metrics


@pytest.fixture
def exporter() -> Iterator[tuple[str, Metrics]]:
    metrics = _filled()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(metrics.render())

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}", metrics
    server.shutdown()
    server.server_close()
    thread.join(30)


def _promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.req("0.26", "4.60", "4.53")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "deploy/prometheus/prometheus.yml"),
        ("check", "rules", "deploy/prometheus/rules/farm.yml"),
        ("test", "rules", "deploy/prometheus/tests/farm.yml"),
    ],
)
def test_promtool_accepts_configuration_rules_and_their_tests(arguments: tuple[str, str, str]) -> None:
    done = _promtool(*arguments[:2], str(ROOT / arguments[2]))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.req("0.41", "4.58")
def test_dashboard_panels_are_all_answered_and_alerts_fire(exporter: tuple[str, Metrics], tmp_path: Path) -> None:
    address, metrics = exporter

    with PrometheusServer(tmp_path, {"farm": [address]}, rules=[RULES]) as server:
        server.wait_for("up == 1")
        server.wait_for("rate(omega_bars_total[1m])")
        server.wait_for("rate(omega_order_latency_seconds_bucket[5m])")
        for row in RECORDINGS:
            server.wait_for(row.name)

        assert refused(server, DASHBOARD) == {}
        assert empty(server, DASHBOARD) == []
        assert server.alerts() == {}

        metrics.gauge("halted").labels(venue="some-venue", account="some-account").set(1)
        server.wait_for('ALERTS{alertname="Halt", alertstate="firing"}')
        assert server.alerts() == {"Halt": "firing"}


def test_helper_tells_a_refused_question_from_an_empty_one(tmp_path: Path) -> None:
    with PrometheusServer(tmp_path, {}) as server:
        assert "parse error" in server.query("sum by (").error
        assert server.query("up").series == ()
        assert server.query("1 + 1").series == (({}, "2"),)
        with pytest.raises(TimeoutError, match="up has no series"):
            server.wait_for("up", within_s=0.2)
