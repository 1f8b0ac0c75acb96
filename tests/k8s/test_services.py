"""Every component that listens is found behind one Service, at the ports of the shared list."""

from __future__ import annotations

from typing import Any

import pytest

from omega.topology import INFRASTRUCTURE, farm


@pytest.mark.req("1.80")
def test_every_listening_component_has_one_service_with_the_ports_of_the_topology(overlay: Any) -> None:
    """Runners share one headless Service: each is scraped by itself, and nobody calls a bot."""
    services = farm(simulator=overlay.simulated, discord=True)
    ports = {spec.label: {spec.port, *spec.ports.values()} for spec in services}
    ports |= {spec.label: {spec.port, *spec.ports.values()} for spec in INFRASTRUCTURE}
    pods = {pod.name: pod for pod in overlay.pods()}

    for label, wanted in ports.items():
        before = [
            item
            for item in overlay.of("Service").values()
            if item["spec"]["selector"].items() <= pods[label].labels.items()
        ]
        assert before, f"nobody can find {label}"
        assert {item["spec"].get("type", "ClusterIP") for item in before} == {"ClusterIP"}
        found = {row["port"] for item in before for row in item["spec"]["ports"]}
        assert found == {port for port in wanted if port}, label
