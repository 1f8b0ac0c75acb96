"""A metric that nobody sets is a panel that stays empty for ever."""

from __future__ import annotations

from pathlib import Path

from omega.telemetry.catalogue import METRICS

ROOT = Path(__file__).resolve().parents[3]


def test_catalogue_every_metric_is_set_somewhere() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("omega", "services")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "catalogue.py" and "testing" not in path.parts
    )

    assert [metric.name for metric in METRICS if f'"{metric.name}"' not in code] == []
