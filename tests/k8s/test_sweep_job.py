"""The Indexed Job of a sweep: valid, without rights, and in step with the command that it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from omega.topology import UID

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("1.30", "1.34")


@pytest.fixture
def rendered(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the paper overlay with the component added, as a user adds it."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: the sweep's Job is not rendered. Install kubectl 1.27 or newer.")
    overlay, component = (
        os.path.relpath(ROOT / "deploy/k8s" / part, tmp_path.resolve())
        for part in ("overlays/paper", "components/sweep")
    )
    text = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "omega-paper",
        "resources": [overlay],
        "components": [component],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(text))
    command = ["kubectl", "kustomize", str(tmp_path)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert made.returncode == 0, made.stderr
    return [item for item in yaml.safe_load_all(made.stdout) if item]


def _one(rendered: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [item for item in rendered if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


@pytest.mark.req("4.90")
@pytest.mark.parametrize("version", VERSIONS)
def test_sweep_component_is_valid_to_the_published_schema(rendered: list[dict[str, Any]], version: str) -> None:
    own = [item for item in rendered if item["metadata"]["name"].startswith("sweep")]

    assert {item["kind"] for item in own} == {"Job", "NetworkPolicy", "ServiceAccount"}
    for item in own:
        kubernetes_validate.validate(item, version, strict=True)


def test_sweep_job_runs_as_many_shards_as_it_has_completions(rendered: list[dict[str, Any]]) -> None:
    spec = _one(rendered, "Job", "sweep")["spec"]
    [container] = spec["template"]["spec"]["containers"]

    assert spec["completionMode"] == "Indexed"
    assert f"--shard=auto/{spec['completions']}" in container["args"]
    assert 1 <= spec["parallelism"] <= spec["completions"]
    assert spec["backoffLimitPerIndex"] >= 1
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_sweep_job_says_only_what_the_command_understands(rendered: list[dict[str, Any]]) -> None:
    import typer.main

    from omega.cli.app import build

    [container] = _one(rendered, "Job", "sweep")["spec"]["template"]["spec"]["containers"]
    command = typer.main.get_command(build("sweep"))
    assert container["command"] == ["omega", "sweep"]
    made = getattr(command, "commands", {"sweep": command})["sweep"]

    context = made.make_context("sweep", list(container["args"]))

    assert context.params["study"]
    assert context.params["shard"].startswith("auto/")


def test_sweep_job_has_no_rights_and_reads_its_database_from_a_file(rendered: list[dict[str, Any]]) -> None:
    pod = _one(rendered, "Job", "sweep")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    env = {row["name"]: row["value"] for row in container["env"]}

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == UID
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert env["OMEGA_SWEEP_STORAGE_FILE"] == "/run/secrets/sweep__storage"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    assert env["NUMBA_CACHE_DIR"].startswith(mounts["state"])


def test_sweep_job_reaches_names_and_the_database_alone(rendered: list[dict[str, Any]]) -> None:
    policy = _one(rendered, "NetworkPolicy", "sweep")["spec"]
    services = _one(rendered, "StatefulSet", "postgres")["spec"]["template"]["metadata"]["labels"]
    mirror = _one(rendered, "NetworkPolicy", "sweep-database")["spec"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    [_names, database] = policy["egress"]
    assert database["to"][0]["podSelector"]["matchLabels"].items() <= services.items()
    assert mirror["podSelector"]["matchLabels"].items() <= services.items()
