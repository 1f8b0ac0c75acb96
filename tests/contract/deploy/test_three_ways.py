"""Compose, kustomize and `omega up` run the services, ports and settings of `omega.topology`."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from omega.config import load
from omega.topology import (
    BOTS,
    INFRASTRUCTURE,
    REDIS_SECRET,
    SECRETS_DIR,
    STATE_DIR,
    ServiceSpec,
    farm,
    images,
    redis_user,
)

ROOT = Path(__file__).resolve().parents[3]
MONITORING = {"prometheus", "grafana"}
VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = VARIABLE.sub(r"\1", (ROOT / "docker-compose.yml").read_text())
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def _kubernetes(environment: str) -> dict[str, dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: kustomize is not compared. Install kubectl 1.27 or newer.")
    made = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "deploy/k8s/overlays" / environment)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    objects = list(yaml.safe_load_all(made.stdout))
    maps = {item["metadata"]["name"]: item["data"] for item in objects if item["kind"] == "ConfigMap"}
    found = {}
    for item in objects:
        if item["kind"] in {"Deployment", "StatefulSet"}:
            template = item["spec"]["template"]
            [container] = template["spec"]["containers"]
            variables = {}
            for source in container.get("envFrom", ()):
                variables |= maps[source["configMapRef"]["name"]]
            for row in container.get("env", ()):
                bot = template["metadata"]["labels"].get("omega.farm/bot", "")
                field = {"metadata.name": item["metadata"]["name"], "metadata.labels['omega.farm/bot']": bot}
                variables[row["name"]] = row.get("value") or field[row["valueFrom"]["fieldRef"]["fieldPath"]]
            found[item["metadata"]["name"]] = {"object": item, "container": container, "env": variables}
    return found


def _source(row: str | dict[str, str]) -> str:
    return row if isinstance(row, str) else row["source"]


def _target(row: str | dict[str, str]) -> str:
    return row if isinstance(row, str) else row["target"]


def _redis_secret(workload: dict[str, Any]) -> str:
    """Return the Secret that holds the pod's own password at the Redis server, without the hash of its content."""
    [volume] = [volume for volume in workload["spec"]["template"]["spec"]["volumes"] if volume["name"] == "secrets"]
    names = [source["secret"]["name"] for source in volume["projected"]["sources"]]
    [found] = [name for name in names if name.startswith("redis-")]
    return re.sub(r"-[0-9a-z]{10}$", "", found)


def _our_services(*, simulator: bool = True) -> dict[str, ServiceSpec]:
    return {spec.label: spec for spec in farm(simulator=simulator, discord=True)}


@pytest.mark.req("0.02")
def test_compose_runs_the_services_of_the_topology(compose: dict[str, Any]) -> None:
    wanted = set(_our_services()) | {spec.label for spec in INFRASTRUCTURE} | MONITORING

    assert set(compose["services"]) == wanted
    assert "version" not in compose
    optional = {name for name, service in compose["services"].items() if "profiles" in service}
    assert optional == {"discord-bot", *MONITORING}


@pytest.mark.req("0.02")
def test_compose_gives_each_service_the_settings_of_the_topology(compose: dict[str, Any]) -> None:
    for label, spec in _our_services().items():
        service = compose["services"][label]
        given = dict(service["environment"])
        given.pop("OMEGA_SIMULATOR__SPEED", None)  # the demo shows trades soon; SPEED=1 is the exchange's own pace
        assert given == spec.container_env("paper"), label
        assert service["build"]["target"] == spec.extra
        assert service["image"] == f"omega-{spec.extra}:0.1.0"
        given = {_target(row): _source(row) for row in service["secrets"]}
        assert given == {**{name: name for name in spec.secrets}, REDIS_SECRET: f"redis_{label.replace('-', '_')}"}
        assert any(volume.endswith(f":{STATE_DIR}") for volume in service.get("volumes", ())) == spec.writes_disk
        profiles = service.get("profiles")
        needs = set(spec.needs) if not profiles else {"redis"}
        assert set(service["depends_on"]) == needs
        assert {row["condition"] for row in service["depends_on"].values()} == {"service_healthy"}


def test_compose_containers_have_no_rights_and_no_way_out(compose: dict[str, Any]) -> None:
    for label, service in compose["services"].items():
        assert service["read_only"] is True, label
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "mem_limit" in service
        assert service["networks"] == ["farm"] or label in {"redis", "discord-bot", "grafana"}
        for port in service.get("ports", ()):
            assert str(port).startswith("127.0.0.1:"), f"{label} publishes a port beyond this machine"
    assert compose["networks"]["farm"] == {"internal": True}


def test_compose_secret_files_exist_but_for_the_token_of_the_user(compose: dict[str, Any]) -> None:
    absent = [name for name, row in compose["secrets"].items() if not (ROOT / row["file"]).is_file()]

    assert set(absent) <= {"discord_bot__token"}
    used = {_source(row) for service in compose["services"].values() for row in service.get("secrets", ())}
    assert used == set(compose["secrets"])


@pytest.mark.req("0.56")
def test_compose_settings_of_every_service_load(compose: dict[str, Any], tmp_path: Path) -> None:
    for name in ("live", "secrets"):
        (tmp_path / name).mkdir()
    for label, spec in _our_services().items():
        variables = {
            **compose["services"][label]["environment"],
            "OMEGA_CONFIG_DIR": str(ROOT / "config"),
            "OMEGA_LIVE_DIR": str(tmp_path / "live"),
            "OMEGA_SECRETS_DIR": str(tmp_path / "secrets"),
        }
        settings = load(environ=variables).settings
        assert settings.monitoring.port == spec.port
        assert settings.runner.bot == spec.bot


@pytest.mark.req("0.02", "4.71")
@pytest.mark.parametrize("environment", ["dev", "paper", "live"])
def test_kustomize_runs_the_services_of_the_topology(environment: str) -> None:
    simulator = environment != "live"
    services = _our_services(simulator=simulator)
    rendered = _kubernetes(environment)

    extra = MONITORING if simulator else set()
    assert set(rendered) == set(services) | {spec.label for spec in INFRASTRUCTURE} | extra
    for label, spec in services.items():
        container = rendered[label]["container"]
        assert rendered[label]["env"] == spec.container_env(environment, simulator=simulator), label
        assert container["image"] == f"omega-{spec.extra}:0.1.0"
        ports = {row["name"]: row["containerPort"] for row in container["ports"]}
        assert ports == {"health": spec.port, **spec.ports}
        mounts = {row["mountPath"] for row in container["volumeMounts"]}
        assert (STATE_DIR in mounts) == spec.writes_disk
        assert SECRETS_DIR in mounts
        assert _redis_secret(rendered[label]["object"]) == f"redis-{label}"
        kind = "StatefulSet" if spec.bot and environment == "live" else spec.kind
        assert (rendered[label]["object"]["kind"], rendered[label]["object"]["spec"]["replicas"]) == (
            kind,
            spec.replicas,
        )


@pytest.mark.req("0.02")
def test_omega_up_runs_the_services_of_the_topology(tmp_path: Path) -> None:
    from omega.cli.farm.composition import Farm, FarmOptions

    settings = load(config_dir=ROOT / "config", environ={}).settings
    options = FarmOptions(
        bots=BOTS, speed="60", bars=0, home=tmp_path, seed=7, start="", data="", redis_url="", extra_env={}
    )

    composed = Farm(settings, options)
    children = {child.name: child for child in composed._children()}
    composed.ports.close()

    wanted = {spec.name: spec for spec in farm()}
    assert set(children) == set(wanted)
    for name, child in children.items():
        assert child.argv[-1] == wanted[name].module
        given = {k: v for k, v in child.env.items() if k.startswith("OMEGA_")}
        loaded = load(config_dir=ROOT / "config", environ=given).settings
        assert loaded.ledger.archive == str(tmp_path / "archive")  # two farms never share a month's file


@pytest.mark.req("0.02")
def test_topology_bots_are_the_enabled_bots_of_the_configuration() -> None:
    settings = load(config_dir=ROOT / "config", environ={}).settings

    assert {name for name, bot in settings.bots.items() if bot.enabled} == set(BOTS)


@pytest.mark.req("1.93", "4.70")
def test_dockerfile_has_one_target_a_service_with_its_port_and_module() -> None:
    text = (ROOT / "Dockerfile").read_text()
    targets = dict(re.findall(r"^FROM service AS (\w+)$(.*?)(?=^FROM|\Z)", text, re.MULTILINE | re.DOTALL))

    assert tuple(sorted(targets)) == images()
    for spec in farm(discord=True):
        body = targets[spec.extra]
        assert f"COPY --from=build-{spec.extra} /app/venv /app/venv" in body
        assert f"OMEGA_MONITORING__PORT={spec.port}" in body
        assert f'ENTRYPOINT ["python", "-m", "{spec.module}"]' in body
        assert f"-r /wheels/{spec.extra}.txt" in text
    assert "COPY data" in targets["simulator"]
    assert text.count("COPY data") == 2  # the simulator's demo, and the history of the research image
    assert "HEALTHCHECK" in text
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)


def test_image_tags_are_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version

    for path in (ROOT / "deploy/k8s/overlays").glob("*/kustomization.yaml"):
        assert {row["newTag"] for row in yaml.safe_load(path.read_text())["images"]} == {version[1]}


@pytest.mark.req("1.77", "2.106")
@pytest.mark.parametrize("environment", ["dev", "paper"])
def test_demo_users_of_the_access_list_open_with_the_mounted_passwords(environment: str) -> None:
    """Each service logs in as itself: the hash in the ACL file is that of the password in its pod, and of no other."""
    demo = ROOT / "deploy/k8s/components/demo-secrets"
    lines = [line.split() for line in (demo / "users.acl").read_text().splitlines()]
    hashes = {words[1]: next((word[1:] for word in words if word.startswith("#")), "") for words in lines}

    for label, spec in _our_services().items():
        password = (demo / "redis" / label / REDIS_SECRET).read_text()
        name = redis_user(environment, "runner" if spec.bot else spec.name, spec.bot)
        assert hashes[name] == hashlib.sha256(password.encode()).hexdigest(), label
    assert hashes["default"] == ""
