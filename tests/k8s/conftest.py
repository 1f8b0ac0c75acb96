"""The overlays as kustomize renders them, once a session."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("dev", "paper", "live")


@dataclass(frozen=True, slots=True)
class Pod:
    """The pods of one workload: its name, its labels, its spec."""

    name: str
    kind: str
    replicas: int
    labels: dict[str, str]
    annotated: dict[str, Any]
    spec: dict[str, Any]

    @property
    def container(self) -> dict[str, Any]:
        [container] = self.spec["containers"]
        return container


@dataclass(frozen=True, slots=True)
class Overlay:
    """One rendered overlay."""

    environment: str
    objects: tuple[dict[str, Any], ...]

    @property
    def simulated(self) -> bool:
        return self.environment != "live"

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        return {item["metadata"]["name"]: item for item in self.objects if item["kind"] == kind}

    def pods(self) -> list[Pod]:
        return [
            Pod(
                item["metadata"]["name"],
                item["kind"],
                item["spec"]["replicas"],
                item["spec"]["template"]["metadata"]["labels"],
                item,
                item["spec"]["template"]["spec"],
            )
            for item in self.objects
            if item["kind"] in {"Deployment", "StatefulSet"}
        ]

    def ours(self) -> list[Pod]:
        return [pod for pod in self.pods() if pod.annotated["metadata"]["labels"].get("omega.farm/ours") == "true"]

    def config_map(self, name: str) -> dict[str, str]:
        return self.of("ConfigMap")[name]["data"]

    def environment_of(self, pod: Pod) -> dict[str, str]:
        """Resolve the variables of a pod as the kubelet would."""
        variables: dict[str, str] = {}
        for source in pod.container.get("envFrom", ()):
            variables |= self.config_map(source["configMapRef"]["name"])
        for variable in pod.container.get("env", ()):
            variables[variable["name"]] = variable.get("value") or self._field(pod, variable["valueFrom"])
        return variables

    @staticmethod
    def _field(pod: Pod, source: dict[str, Any]) -> str:
        path = source["fieldRef"]["fieldPath"]
        if path == "metadata.name":
            return pod.name
        assert path.startswith("metadata.labels['")
        return pod.labels[path.removeprefix("metadata.labels['").removesuffix("']")]


def render(environment: str) -> Overlay:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: the overlays are not rendered. Install kubectl 1.27 or newer.")
    made = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "deploy/k8s/overlays" / environment)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    return Overlay(environment, tuple(item for item in yaml.safe_load_all(made.stdout) if item))


_rendered: dict[str, Overlay] = {}


@pytest.fixture(params=ENVIRONMENTS)
def overlay(request: pytest.FixtureRequest) -> Overlay:
    environment = request.param
    if environment not in _rendered:
        _rendered[environment] = render(environment)
    return _rendered[environment]
