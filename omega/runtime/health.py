"""The health port: /healthz /readyz /startupz /metrics, and paths that a service adds. Owned by BaseService."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from omega.runtime.http import HttpAnswer, HttpHandler, HttpRequest, HttpServer
from omega.telemetry import CONTENT_TYPE, Metrics


@dataclass(frozen=True, slots=True)
class Check:
    """One named check: whether it holds, and why not."""

    name: str
    ok: bool
    why: str = ""


class _Ages:
    """Since when each check has its present outcome."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], tuple[bool, float]] = {}

    def of(self, path: str, check: Check) -> float:
        now = time.monotonic()
        before = self._since.get((path, check.name))
        if before is None or before[0] is not check.ok:
            self._since[path, check.name] = before = (check.ok, now)
        return round(now - before[1], 3)


class HealthServer:
    """Answers the probes from three callables and the scrape from the metrics.

    Liveness never checks a dependency: a Redis outage must not restart bots.
    """

    def __init__(
        self,
        *,
        service: str,
        metrics: Metrics,
        live: Callable[[], list[Check]],
        ready: Callable[[], list[Check]],
        started: Callable[[], list[Check]],
        refresh: Callable[[], None],
    ) -> None:
        self.port = 0
        self._service = service
        self._metrics = metrics
        self._refresh = refresh
        self._ages = _Ages()
        self._http = HttpServer()
        for path, checks in (("/healthz", live), ("/readyz", ready), ("/startupz", started)):
            self._http.route("GET", path, self._probe(path, checks))
        self._http.route("GET", "/metrics", self._scrape)

    def route(self, method: str, path: str, handler: HttpHandler) -> None:
        """Answer one more path, such as the gateway's `POST /kill`."""
        self._http.route(method, path, handler)

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port.

        Raises:
            EnvironmentFault: the port is taken.
        """
        self.port = await self._http.start(host, port)
        return self.port

    async def stop(self) -> None:
        """Stop listening."""
        await self._http.stop()

    def _probe(self, path: str, checks: Callable[[], list[Check]]) -> HttpHandler:
        async def answer(_request: HttpRequest) -> HttpAnswer:
            found = checks()
            ok = all(check.ok for check in found)
            rows = [
                {"name": check.name, "ok": check.ok, "why": check.why, "age_s": self._ages.of(path, check)}
                for check in found
            ]
            document = {"service": self._service, "ok": ok, "checks": rows}
            return HttpAnswer.of_json(document, status=200 if ok else 503)

        return answer

    async def _scrape(self, _request: HttpRequest) -> HttpAnswer:
        self._refresh()
        return HttpAnswer(body=self._metrics.render(), content_type=CONTENT_TYPE)
