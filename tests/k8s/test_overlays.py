"""Every overlay builds, is valid to the published schema, and refers only to what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from omega.config import load
from omega.errors import ConfigError
from omega.topology import SECRETS_DIR

ROOT = Path(__file__).resolve().parents[2]
CLUSTER_WIDE = {"Namespace", "PriorityClass"}


def _templates() -> dict[str, dict[str, str]]:
    text = (ROOT / "deploy/k8s/secrets.template.yaml").read_text()
    return {item["metadata"]["name"]: item["stringData"] for item in yaml.safe_load_all(text)}


def _names(overlay: Any, kind: str) -> set[str]:
    return set(overlay.of(kind))


@pytest.mark.req("0.56", "1.94", "4.71")
@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_overlay_objects_are_valid_to_the_published_schema(overlay: Any, version: str) -> None:
    for item in overlay.objects:
        kubernetes_validate.validate(item, version, strict=True)


def test_overlay_objects_live_in_the_namespace_of_the_environment(overlay: Any) -> None:
    homes = {item["metadata"].get("namespace") for item in overlay.objects if item["kind"] not in CLUSTER_WIDE}

    assert homes == {f"omega-{overlay.environment}"}
    assert _names(overlay, "Namespace") == homes


def test_overlay_references_resolve_to_objects_that_exist(overlay: Any) -> None:
    secrets = _names(overlay, "Secret") | set(_templates())
    for pod in overlay.pods():
        assert pod.spec["serviceAccountName"] in _names(overlay, "ServiceAccount")
        assert pod.spec["priorityClassName"] in _names(overlay, "PriorityClass")
        for source in pod.container.get("envFrom", ()):
            assert source["configMapRef"]["name"] in _names(overlay, "ConfigMap")
        for volume in pod.spec.get("volumes", ()):
            for part in volume.get("projected", {}).get("sources", [volume]):
                if "configMap" in part:
                    config_map = overlay.config_map(part["configMap"]["name"])
                    assert {item["key"] for item in part["configMap"].get("items", ())} <= set(config_map)
            if "secret" in volume:
                assert volume["secret"]["secretName"].partition("-secrets")[0] + "-secrets" in {
                    name.partition("-secrets")[0] + "-secrets" for name in secrets
                }
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in _names(overlay, "PersistentVolumeClaim")
        if pod.kind == "StatefulSet":
            assert pod.annotated["spec"]["serviceName"] in _names(overlay, "Service")


def test_overlay_mounts_name_a_volume_and_every_volume_is_mounted(overlay: Any) -> None:
    for pod in overlay.pods():
        claims = {claim["metadata"]["name"] for claim in pod.annotated["spec"].get("volumeClaimTemplates", ())}
        volumes = [volume["name"] for volume in pod.spec.get("volumes", ())]
        mounts = {mount["name"] for mount in pod.container.get("volumeMounts", ())}
        assert len(volumes) == len(set(volumes))
        assert mounts == claims | set(volumes), pod.name


def test_overlay_selectors_choose_their_own_pods_and_no_others(overlay: Any) -> None:
    for pod in overlay.pods():
        selector = pod.annotated["spec"]["selector"]["matchLabels"]
        chosen = [other.name for other in overlay.pods() if selector.items() <= other.labels.items()]
        assert chosen == [pod.name]
    for name, service in overlay.of("Service").items():
        selector = service["spec"]["selector"]
        chosen = [pod for pod in overlay.pods() if selector.items() <= pod.labels.items()]
        assert chosen, f"service {name} stands before no pod"
        for port in service["spec"]["ports"]:
            for pod in chosen:
                named = {row["name"]: row["containerPort"] for row in pod.container["ports"]}
                assert named[port["targetPort"]] == port["port"]


@pytest.mark.req("0.18", "1.78")
def test_overlay_static_config_is_hashed_and_the_live_one_keeps_its_name(overlay: Any) -> None:
    names = _names(overlay, "ConfigMap")

    assert "omega-live" in names
    assert sum(1 for name in names if re.fullmatch(r"omega-static-[a-z0-9]{10}", name)) == 1
    for pod in overlay.ours():
        mounts = {mount["name"]: mount for mount in pod.container["volumeMounts"]}
        assert all("subPath" not in mount for mount in mounts.values()), "a subPath mount is never updated"
        assert mounts["live"]["mountPath"] == "/app/live"


def _materialise(overlay: Any, pod: Any, home: Path) -> dict[str, str]:
    """Lay out the directories that a pod sees, and return its variables pointing to them."""
    variables = overlay.environment_of(pod)
    places = {"OMEGA_CONFIG_DIR": "config", "OMEGA_LIVE_DIR": "live", "OMEGA_SECRETS_DIR": "secrets"}
    for variable, name in places.items():
        (home / name).mkdir(parents=True)
        variables[variable] = str(home / name)
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    static = volumes["config"]["configMap"]
    for item in static["items"]:
        path = home / "config" / item["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(overlay.config_map(static["name"])[item["key"]])
    for key, text in overlay.config_map(volumes["live"]["configMap"]["name"]).items():
        (home / "live" / key).write_text(text)
    return variables


@pytest.mark.req("0.56")
def test_overlay_settings_of_every_service_load(overlay: Any, tmp_path: Path) -> None:
    """ConfigMaps and variables of a pod make a valid configuration; live waits for its switches."""
    for pod in overlay.ours():
        variables = _materialise(overlay, pod, tmp_path / pod.name)
        if overlay.environment == "live":
            with pytest.raises(ConfigError, match="switch"):
                load(environ=variables)
            variables |= {"OMEGA_TRADING__CONFIRMED_LIMITS": "true", "OMEGA_TRADING__LIVE_ACCOUNTS": "[main]"}
        settings = load(environ=variables).settings
        assert settings.environment.name == overlay.environment
        assert settings.monitoring.port == next(
            row["containerPort"] for row in pod.container["ports"] if row["name"] == "health"
        )
        assert pod.spec["terminationGracePeriodSeconds"] >= settings.monitoring.drain_s + 5


@pytest.mark.req("1.78")
def test_overlay_config_map_equals_the_config_directory(overlay: Any) -> None:
    [pod, *_] = overlay.ours()
    static = next(volume for volume in pod.spec["volumes"] if volume["name"] == "config")["configMap"]

    found = {item["path"]: overlay.config_map(static["name"])[item["key"]] for item in static["items"]}

    config = ROOT / "config"
    files = {path.relative_to(config).as_posix(): path.read_text() for path in config.rglob("*.yaml")}
    assert found == {name: text for name, text in files.items() if not name.startswith("experiments/")}


@pytest.mark.req("3.09")
def test_live_overlay_carries_no_secret_and_no_simulator(overlay: Any) -> None:
    if overlay.environment != "live":
        assert "simulator" in {pod.name for pod in overlay.pods()}
        return

    assert _names(overlay, "Secret") == set()
    assert "simulator" not in {pod.name for pod in overlay.pods()}
    assert all(value == "" for data in _templates().values() for value in data.values())
    runners = [pod for pod in overlay.pods() if pod.labels["app.kubernetes.io/name"] == "runner"]
    assert {pod.kind for pod in runners} == {"StatefulSet"}
    assert overlay.of("PodDisruptionBudget")["runners"]["spec"]["maxUnavailable"] == 0


def test_secret_mounts_hold_exactly_the_files_that_the_settings_read(overlay: Any) -> None:
    templates = _templates()
    for pod in overlay.ours():
        mounted = [volume["secret"]["secretName"] for volume in pod.spec["volumes"] if "secret" in volume]
        if not mounted:
            continue
        [name] = mounted
        base = name.partition("-secrets")[0] + "-secrets"
        files = set(overlay.of("Secret")[name]["data"]) if name in overlay.of("Secret") else set(templates[base])
        assert files == set(templates[base])
        mount = next(row for row in pod.container["volumeMounts"] if row["name"] == "secrets")
        assert mount["mountPath"] == SECRETS_DIR
