"""The metrics of one process, made from the catalogue in a registry of their own: every service's `self.metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from omega.errors import InvariantBroken
from omega.telemetry.catalogue import BY_NAME, PREFIX, Kind, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Mapping[str, float]):
    """The catalogued metrics of one process; as a mapping it shows every sample that `/metrics` serves.

    Metrics are made when first asked for, so a process exports what it uses.
    """

    def __init__(self) -> None:
        cast("Callable[[], None]", disable_created_metrics)()  # a time stamp a counter doubles the scrape for nobody
        self.registry = CollectorRegistry(auto_describe=True)
        self._made: dict[str, Counter | Gauge | Histogram] = {}

    def counter(self, name: str) -> Counter:
        """Return a counter of the catalogue.

        Raises:
            InvariantBroken: the catalogue has no counter of this name.
        """
        made = self._made.get(name) or self._make(name, Kind.COUNTER)
        return made if isinstance(made, Counter) else _wrong_kind(name, Kind.COUNTER)

    def gauge(self, name: str) -> Gauge:
        """Return a gauge of the catalogue.

        Raises:
            InvariantBroken: the catalogue has no gauge of this name.
        """
        made = self._made.get(name) or self._make(name, Kind.GAUGE)
        return made if isinstance(made, Gauge) else _wrong_kind(name, Kind.GAUGE)

    def histogram(self, name: str) -> Histogram:
        """Return a histogram of the catalogue.

        Raises:
            InvariantBroken: the catalogue has no histogram of this name.
        """
        made = self._made.get(name) or self._make(name, Kind.HISTOGRAM)
        return made if isinstance(made, Histogram) else _wrong_kind(name, Kind.HISTOGRAM)

    @property
    def made(self) -> frozenset[str]:
        """The catalogue names that this process has used."""
        return frozenset(self._made)

    def render(self) -> bytes:
        """Return the Prometheus text format."""
        return generate_latest(self.registry)

    def samples(self) -> dict[str, float]:
        """Return every sample by its full name with labels, as it is scraped."""
        found: dict[str, float] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = float(sample.value)
        return found

    def __getitem__(self, key: str) -> float:
        samples = self.samples()
        if key in samples:
            return samples[key]
        full = key if key.startswith(PREFIX) else PREFIX + key
        alike = [value for name, value in samples.items() if name.partition("{")[0] == full]
        if not alike:
            raise KeyError(key)
        return sum(alike)

    def __iter__(self) -> Iterator[str]:
        return iter(self.samples())

    def __len__(self) -> int:
        return len(self.samples())

    def _make(self, name: str, kind: Kind) -> Counter | Gauge | Histogram:
        row = BY_NAME.get(name)
        if row is None:
            raise InvariantBroken(f"metric {name} is not in omega/telemetry/catalogue.py: add a row there")
        if row.kind is not kind:
            _wrong_kind(name, kind)
        self._made[name] = made = _build(row, self.registry)
        return made


def _build(row: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if row.kind is Kind.COUNTER:
        return Counter(row.full_name, row.help, row.labels, registry=registry)
    if row.kind is Kind.GAUGE:
        return Gauge(row.full_name, row.help, row.labels, registry=registry)
    return Histogram(row.full_name, row.help, row.labels, registry=registry, buckets=row.buckets)


def _wrong_kind(name: str, kind: Kind) -> NoReturn:
    raise InvariantBroken(f"metric {name} is no {kind}: omega/telemetry/catalogue.py says {BY_NAME[name].kind}")
