"""A real Prometheus for tests: scrapes what it is told, evaluates rules, answers queries. Used by integration tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from omega.testing.servers import free_port

INSTALL = "apt-get install prometheus"
READY_S = 60.0


def missing() -> str:
    """Return why no Prometheus can be started here, empty when one can."""
    absent = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not on PATH: {INSTALL}" if absent else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave.

    Attributes:
        error: Prometheus' own words when it refused the query.
        series: labels and value of each series, as text.
    """

    error: str
    series: tuple[tuple[Mapping[str, str], str], ...]


class PrometheusServer:
    """One Prometheus process on a free port, gone when the block ends.

    Args:
        directory: an empty directory for its files.
        targets: addresses to scrape (`host:port`) by job.
        rules: rule files to evaluate.
        interval_s: time between two scrapes.
    """

    def __init__(
        self, directory: Path, targets: Mapping[str, Iterable[str]], *, rules: Iterable[Path] = (), interval_s: int = 1
    ) -> None:
        self._directory = directory
        self._config = {
            "global": {"scrape_interval": f"{interval_s}s", "evaluation_interval": f"{interval_s}s"},
            "rule_files": [str(path.resolve()) for path in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
                for job, addresses in targets.items()
            ],
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            RuntimeError: it did not become ready, with the end of its log.
        """
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (self._directory / "prometheus.yml").write_text(yaml.safe_dump(self._config), encoding="utf-8")
        log = self._directory / "prometheus.log"
        with log.open("wb") as sink:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed program, found on PATH
                [
                    shutil.which("prometheus") or "prometheus",
                    f"--config.file={self._directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._directory / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ],
                stdout=sink,
                stderr=sink,
            )
        deadline = time.monotonic() + READY_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Prometheus did not become ready; its log ends: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """End the process, by its id, and wait for it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None

    def query(self, expression: str) -> Answer:
        """Ask for the value of an expression now."""
        body = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        if body["status"] != "success":
            return Answer(str(body.get("error", "refused")), ())
        data = body["data"]
        if data["resultType"] in {"scalar", "string"}:
            return Answer("", (({}, str(data["result"][1])),))
        return Answer("", tuple((row["metric"], str(row["value"][1])) for row in data["result"]))

    def wait_for(self, expression: str, *, within_s: float = 60.0) -> Answer:
        """Ask until the expression has at least one series.

        Raises:
            TimeoutError: it stayed empty.
        """
        deadline = time.monotonic() + within_s
        while True:
            answer = self.query(expression)
            if answer.series:
                return answer
            if answer.error or time.monotonic() > deadline:
                raise TimeoutError(f"{expression} has no series after {within_s:.0f} s. {answer.error}")
            time.sleep(0.1)

    def alerts(self) -> dict[str, str]:
        """Return the state of every alert that is not quiet: `pending` or `firing`, by name."""
        rows: list[dict[str, Any]] = self._get("/api/v1/alerts")["data"]["alerts"]
        return {row["labels"]["alertname"]: row["state"] for row in rows}

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=1):  # noqa: S310 - our own server
                return True
        except OSError:
            return False

    def _get(self, path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as answer:  # noqa: S310 - our own server
                body = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                body = error.read()
        content: dict[str, Any] = json.loads(body)
        return content


@dataclass(frozen=True, slots=True)
class Panel:
    """One question of a dashboard."""

    title: str
    expression: str


def panels(dashboard: Path) -> list[Panel]:
    """Return every question of a provisioned Grafana dashboard."""
    content = json.loads(dashboard.read_text(encoding="utf-8"))
    return [Panel(panel["title"], target["expr"]) for panel in content["panels"] for target in panel.get("targets", ())]


def refused(server: PrometheusServer, dashboard: Path) -> dict[str, str]:
    """Run every panel's query and return the ones that Prometheus refuses, with its words."""
    answers = {panel.title: server.query(panel.expression) for panel in panels(dashboard)}
    return {title: answer.error for title, answer in answers.items() if answer.error}


def empty(server: PrometheusServer, dashboard: Path) -> list[str]:
    """Run every panel's query and return the titles of those without a series."""
    return [panel.title for panel in panels(dashboard) if not server.query(panel.expression).series]
