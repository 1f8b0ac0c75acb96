"""The analytics container: answers questions about markets, books and trades, makes analyses on timers, publishes them.

A child process does the arithmetic; this one listens, gathers, remembers and answers, and holds no numerics.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from omega import plugins
from omega.analytics.run import ALL, entries, names, needs
from omega.bus import AnalysisMade
from omega.bus.messages import Scalar
from omega.bus.port import Bus
from omega.bus.requests import asked
from omega.config import Settings
from omega.config.outer import AnalysisTimer
from omega.domain import timeframe_ns
from omega.errors import ConfigError, Denied, OmegaError, Stale, TransientError
from omega.params import describe, parse_params
from omega.resilience import ended
from omega.runtime import BaseService
from omega.runtime.worker import Worker
from services.analytics.gather import Gatherer, Question
from services.analytics.job import Done

METHODS: Final = ("analyze", "names", "latest")
"""Everything that can be asked."""
LEASE: Final = "analytics"
_WORDS: Final = frozenset({"analysis", "symbol", "timeframe", "chart"})
"""Parameters of a request that are no parameters of an analysis."""
_THEMES: Final = ("", "dark", "light")
_KEPT: Final = 200
_AT_ONCE: Final = 32
"""Questions that are gathered for or wait for the worker at the same time: each holds the bars that it reads."""
_LOOK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Made:
    """One answer that is remembered, under which correlation id, and when it was made (s of a steady clock)."""

    results: tuple[dict[str, Any], ...]
    png: bytes
    corr: str
    at_s: float


class AnalyticsService(BaseService):
    """Answers from what it remembers, or lets its worker make it; replicas share the requests.

    Timers are held by one replica at a time, by lease.
    """

    name: ClassVar[str] = "analytics"

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        super().__init__(settings=settings, bus=bus)
        self._gatherer = Gatherer(bus, lambda: self.settings)
        self._worker = Worker("services.analytics.work", within_s=settings.analytics.within_s, ended=self._worker_ended)
        self._made: OrderedDict[tuple[Question, int], Made] = OrderedDict()
        self._latest: dict[Question, Made] = {}
        self._making: dict[tuple[Question, int], asyncio.Task[Made]] = {}
        self._askers: Counter[tuple[Question, int]] = Counter()
        self._turn = asyncio.Lock()

    # ---- life

    async def on_initialize(self) -> None:
        """Find the analyses; a broken one, or a timer that names none, refuses the start."""
        known = names()
        for timer in self.settings.analytics.timers:
            if timer.analysis not in known:
                raise ConfigError(
                    f"analytics.timers: there is no analysis {timer.analysis!r}: one of {', '.join(known)}"
                )

    async def on_start(self) -> None:
        """Start to answer, and to make what the timers want."""
        self.spawn("serve", self._serve)
        self.spawn("rest", self._rest)
        if self.settings.analytics.timers:
            self.spawn("timers", self._hold_timers)

    async def on_stop(self) -> None:
        """End the worker, and with it what is being made: nobody will read it."""
        try:
            await ended(self._making.values())  # they may still be asking services that are gone
        finally:
            await self._worker.close()

    def update_metrics(self) -> None:
        """Bring the worker's state and the ages of the timers' results up to date beside the base's gauges."""
        super().update_metrics()
        self.metrics.gauge("analytics_worker_up").set(bool(self._worker.pid))
        for timer in self.settings.analytics.timers:
            made = self._latest.get(_of_timer(timer))
            if made:
                labels = (timer.analysis, timer.symbol, timer.timeframe)
                self.metrics.gauge("analytics_age_seconds").labels(*labels).set(time.monotonic() - made.at_s)

    async def _serve(self) -> None:
        await self.bus.serve(self.name, self.answer)

    async def _rest(self) -> None:
        while True:
            await asyncio.sleep(min(_LOOK_S, self.settings.analytics.idle_s))
            await self._worker.rest(self.settings.analytics.idle_s)

    def _worker_ended(self, why: str) -> None:
        self.metrics.counter("analytics_worker_ended_total").labels(why).inc()
        self.logger.info("worker.ended", why=why)

    # ---- answers

    async def answer(self, method: str, params: Mapping[str, Scalar]) -> object:
        """Answer one request.

        `analyze` takes analysis, symbol, timeframe, chart (`dark` or `light` for a picture) and parameters of the
        analysis; `latest` the same without making anything new; `names` nothing.

        Raises:
            Denied: there is no such method, or an input is missing.
            ConfigError: there is no such analysis, or a parameter is wrong.
            Stale: it took too long.
        """
        if method not in METHODS:
            raise Denied(f"analytics does not answer {method!r}: ask one of {', '.join(METHODS)}", rule="method")
        if method == "names":
            return [_described(entry) for entry in plugins.analyses]
        question = self._question(params)
        if method == "latest":
            made = self._latest.get(question)
            if made is None:
                raise Denied(f"no {question.name} of {question.symbol} was made yet: ask with analyze", rule="latest")
            return _answer(question, made, fresh=False)
        return await self._analyze(question)

    async def _analyze(self, question: Question) -> object:
        outcome = "failed"
        try:
            made, fresh = await self._known_or_made(question)
            outcome = "made" if fresh else "known"
        except OmegaError as error:
            outcome = type(error).__name__
            raise
        finally:
            self.metrics.counter("analytics_answers_total").labels(question.name, outcome).inc()
        return _answer(question, made, fresh=fresh)

    def _question(self, params: Mapping[str, Scalar]) -> Question:
        """Read a request.

        Raises:
            Denied: a part of it is missing or wrong.
            ConfigError: there is no such analysis, no such timeframe, or a parameter is wrong.
        """
        name, theme = str(params.get("analysis", ALL)), str(params.get("chart", ""))
        symbol = str(params.get("symbol", "")) or self.settings.gateway.symbols[0]
        timeframe = str(params.get("timeframe", "")) or self.settings.trading.timeframe
        if theme not in _THEMES:
            raise Denied(f"chart is {theme!r}: write dark or light, or leave it out", rule="params")
        timeframe_ns(timeframe)
        values = {key: value for key, value in params.items() if key not in _WORDS}
        for entry in entries(name):
            known = {spec.name for spec in describe(entry.params)}
            given = values if name != ALL else {key: value for key, value in values.items() if key in known}
            parse_params(entry.params, given)
        return Question(name, symbol, timeframe, tuple(sorted(values.items())), theme)

    async def _known_or_made(self, question: Question) -> tuple[Made, bool]:
        """Return the remembered answer of the same bars while it is young, or make it; askers of the same share it.

        Raises:
            TransientError: too many other questions wait.
            OmegaError: what went wrong while it was made.
        """
        key = (question, await self._gatherer.newest_ns(question.symbol, question.timeframe))
        known = self._made.get(key)
        if known and time.monotonic() - known.at_s <= self.settings.analytics.cache_s:
            return known, False
        task = self._making.get(key)
        if task is None or task.done():
            if len(self._making) >= _AT_ONCE:
                raise TransientError(f"{len(self._making)} other questions wait for analytics: ask again in a while")
            envelope = asked.get()
            task = asyncio.create_task(self._make(key, corr=envelope.corr if envelope else ""))
            self._making[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        self._askers[key] += 1
        try:  # whoever asks may give up; what is being made then is kept for the next one
            return await asyncio.shield(task), True
        finally:
            self._askers[key] -= 1
            if not self._askers[key]:
                del self._askers[key]

    def _forget(self, key: tuple[Question, int], done: asyncio.Task[Made]) -> None:
        if self._making.get(key) is done:
            del self._making[key]
        if not done.cancelled() and (error := done.exception()):  # perhaps nobody waits any more
            self.logger.info("analysis.failed", analysis=key[0].name, symbol=key[0].symbol, error=str(error))

    async def _make(self, key: tuple[Question, int], *, corr: str) -> Made:
        question = key[0]
        job = await self._gatherer.job(question, needs(question.name))
        async with self._turn:
            if not self._askers[key]:
                raise Stale("whoever asked has given up before its turn came; ask again")
            began = time.perf_counter()
            done: Done = await self._worker.run(job)
            took = time.perf_counter() - began
        self.metrics.histogram("analytics_job_seconds").labels(question.name).observe(took)
        results = tuple(json.loads(text) for text in done.results)
        made = Made(results, done.png, corr, time.monotonic())
        for text, result in zip(done.results, results, strict=True):
            await self.bus.send(_record(question, text, result), corr=corr)
        self.logger.info("analysis.made", analysis=question.name, symbol=question.symbol, seconds=round(took, 3))
        self._remember(key, made)
        return made

    def _remember(self, key: tuple[Question, int], made: Made) -> None:
        self._made[key] = self._latest[key[0]] = made
        while len(self._made) > _KEPT:
            (question, _), old = self._made.popitem(last=False)
            if self._latest.get(question) is old:
                del self._latest[question]

    # ---- timers

    async def _hold_timers(self) -> None:
        """Make what the timers want while this replica holds the lease."""
        while True:
            lease = await self.bus.lease(LEASE, ttl_s=self.settings.redis.lease_ttl_s)
            due: dict[Question, float] = {}
            try:
                while lease.held:
                    await self._make_due(due)
            finally:
                await lease.release()

    async def _make_due(self, due: dict[Question, float]) -> None:
        """Make what is due, then wait for the next, a second at most: the lease must be looked at."""
        for timer in self.settings.analytics.timers:
            question, now = _of_timer(timer), time.monotonic()
            if due.get(question, 0.0) > now:
                continue
            due[question] = now + timer.every_s
            try:
                await self._analyze(question)
            except OmegaError as error:  # too few bars after a start, a ledger that is away: the next time tells
                self.handle_error(error, analysis=timer.analysis, symbol=timer.symbol)
        wait = min((at - time.monotonic() for at in due.values()), default=1.0)
        await asyncio.sleep(min(max(wait, 0.0), 1.0))


def _of_timer(timer: AnalysisTimer) -> Question:
    return Question(timer.analysis, timer.symbol, timer.timeframe)


def _record(question: Question, text: str, result: Mapping[str, Any]) -> AnalysisMade:
    values = {name: value for name, value in question.values if isinstance(value, str | int | float | bool)}
    return AnalysisMade(
        str(result["analysis"]), question.symbol, question.timeframe, int(result["as_of_ns"]), values, text
    )


def _answer(question: Question, made: Made, *, fresh: bool) -> dict[str, object]:
    return {
        "corr": made.corr,
        "symbol": question.symbol,
        "timeframe": question.timeframe,
        "age_s": 0.0 if fresh else round(time.monotonic() - made.at_s, 3),
        "analyses": list(made.results),
        "png": base64.b64encode(made.png).decode(),
    }


def _described(entry: plugins.AnalysisEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "title": entry.title,
        "doc": entry.doc,
        "needs": list(entry.needs),
        "least": entry.least,
        "params": [
            {"name": spec.name, "default": spec.default, "unit": spec.unit, "doc": spec.doc}
            for spec in describe(entry.params)
        ],
    }
