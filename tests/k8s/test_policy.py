"""Our own policy for every pod: rights, probes, resources, images, secrets, and who may reach whom."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from omega.topology import INFRASTRUCTURE, UID, farm

SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSPHRASE|API_KEY|DATABASE__URL")
ALLOWED_NAMES = {"OMEGA_SECRETS_DIR", "POSTGRES_PASSWORD_FILE"}
MONITORING = {"prometheus", "grafana"}


def test_every_pod_runs_without_rights(overlay: Any) -> None:
    for pod in overlay.pods():
        rights = pod.spec["securityContext"]
        assert rights["runAsNonRoot"] is True
        assert rights["runAsUser"] > 0
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
        assert all("hostPath" not in volume for volume in pod.spec.get("volumes", ()))
    for account in overlay.of("ServiceAccount").values():
        assert account["automountServiceAccountToken"] is False
    assert {pod.spec["securityContext"]["runAsUser"] for pod in overlay.ours()} == {UID}


@pytest.mark.req("3.12")
def test_every_pod_has_three_probes_and_liveness_asks_the_process_alone(overlay: Any) -> None:
    for pod in overlay.pods():
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(pod.container), pod.name
    for pod in overlay.ours():
        asked = {name: pod.container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
        assert asked == {
            "startupProbe": {"path": "/startupz", "port": "health"},
            "readinessProbe": {"path": "/readyz", "port": "health"},
            "livenessProbe": {"path": "/healthz", "port": "health"},
        }


@pytest.mark.req("4.53")
def test_every_pod_says_what_it_needs_and_the_gateway_is_never_throttled(overlay: Any) -> None:
    for pod in overlay.pods():
        resources = pod.container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"])
        assert "memory" in resources["limits"]
        assert ("cpu" in resources["limits"]) == (pod.name != "gateway"), pod.name


def test_every_image_has_a_fixed_tag(overlay: Any) -> None:
    for pod in overlay.pods():
        name, _, tag = pod.container["image"].rpartition(":")
        assert name
        assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)?", tag), pod.container["image"]


@pytest.mark.req("1.04", "1.05", "3.09")
def test_no_secret_stands_in_the_environment_and_each_reaches_its_consumer_alone(overlay: Any) -> None:
    mounted: dict[str, set[str]] = {}
    for pod in overlay.pods():
        for variable in pod.container.get("env", ()):
            assert variable["name"] in ALLOWED_NAMES or not SECRET_NAME.search(variable["name"])
            assert "secretKeyRef" not in variable.get("valueFrom", {})
        assert all("secretRef" not in source for source in pod.container.get("envFrom", ()))
        for volume in pod.spec.get("volumes", ()):
            names = [volume["secret"]["secretName"]] if "secret" in volume else []
            names += [
                one["secret"]["name"] for one in volume.get("projected", {}).get("sources", ()) if "secret" in one
            ]
            if names:
                assert (volume.get("secret") or volume["projected"])["defaultMode"] == 0o400
            for name in names:
                plain = re.sub(r"-[0-9a-z]{10}$", "", name) if name.startswith("redis-") else name
                mounted.setdefault(plain.partition("-secrets")[0], set()).add(pod.name)

    users = {pod.name for pod in overlay.pods()} - {"redis", "postgres", "prometheus", "grafana"}
    own = {name: {name} for name in ("gateway", "ledger", "discord-bot", "postgres")}
    own["kill"] = {"gateway", "discord-bot"}
    assert mounted == {**own, "redis-acl": {"redis"}, **{f"redis-{name}": {name} for name in users}}


@pytest.mark.req("1.75")
def test_discord_bot_is_one_replica_that_is_recreated(overlay: Any) -> None:
    [bot] = [pod for pod in overlay.pods() if pod.name == "discord-bot"]

    assert (bot.kind, bot.replicas, bot.annotated["spec"]["strategy"]) == ("Deployment", 1, {"type": "Recreate"})


@pytest.mark.req("1.76")
def test_single_writers_never_overlap(overlay: Any) -> None:
    """A second process beside the first is impossible by construction: Recreate, or a StatefulSet of one."""
    for pod in overlay.ours():
        spec = pod.annotated["spec"]
        assert pod.replicas == 1
        assert pod.kind == "StatefulSet" or spec["strategy"] == {"type": "Recreate"}


def _matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()


def _port(pod: Any, port: int | str) -> int:
    if isinstance(port, int):
        return port
    return next((row["containerPort"] for row in pod.container["ports"] if row["name"] == port), -1)


def _policies(overlay: Any, pod: Any, direction: str) -> list[dict[str, Any]]:
    return [
        policy["spec"]
        for policy in overlay.of("NetworkPolicy").values()
        if direction in policy["spec"]["policyTypes"] and _matches(policy["spec"]["podSelector"], pod.labels)
    ]


def _allows(specs: list[dict[str, Any]], side: str, peer_key: str, other: Any, target: Any, port: int) -> bool:
    """Tell whether one rule of these policies names the other pod and the port (of `target`)."""
    for spec in specs:
        for rule in spec.get(side, ()):
            peers = [peer for peer in rule[peer_key] if "namespaceSelector" not in peer and "podSelector" in peer]
            if any(_matches(peer["podSelector"], other.labels) for peer in peers) and any(
                _port(target, row["port"]) == port and row["protocol"] == "TCP" for row in rule["ports"]
            ):
                return True
    return False


def _edges(overlay: Any) -> set[tuple[str, str, int]]:
    """Return every connection between two pods that egress of the one and ingress of the other allow."""
    return {
        (source.name, target.name, row["containerPort"])
        for source, target in product(overlay.pods(), overlay.pods())
        for row in target.container["ports"]
        if source is not target
        and _allows(_policies(overlay, source, "Egress"), "egress", "to", target, target, row["containerPort"])
        and _allows(_policies(overlay, target, "Ingress"), "ingress", "from", source, target, row["containerPort"])
    }


def test_everything_is_denied_first(overlay: Any) -> None:
    deny = overlay.of("NetworkPolicy")["default-deny"]["spec"]

    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for pod in overlay.pods():
        assert len(_policies(overlay, pod, "Ingress")) > 1, f"{pod.name} has no policy of its own"


@pytest.mark.req("3.09")
def test_pods_reach_exactly_what_the_topology_says(overlay: Any) -> None:
    services = farm(simulator=overlay.simulated, discord=True)
    ports = {spec.label: next(iter(spec.ports.values()), spec.port) for spec in (*services, *INFRASTRUCTURE)}
    wanted = {(spec.label, need, ports[need]) for spec in services for need in spec.needs if need in ports}
    wanted |= {(spec.label, other, ports[other]) for spec in services for other in spec.reaches}
    if overlay.simulated:
        wanted |= {("prometheus", spec.label, spec.port) for spec in services} | {("grafana", "prometheus", 9090)}

    assert _edges(overlay) == wanted


@pytest.mark.req("0.56", "1.36")
def test_a_runner_reaches_redis_and_names_and_nothing_else(overlay: Any) -> None:
    edges = _edges(overlay)
    for pod in overlay.pods():
        if pod.labels["app.kubernetes.io/name"] == "runner":
            assert {edge for edge in edges if edge[0] == pod.name} == {(pod.name, "redis", 6379)}
            assert not _outside(overlay, pod)


def _outside(overlay: Any, pod: Any) -> set[int]:
    return {
        row["port"]
        for spec in _policies(overlay, pod, "Egress")
        for rule in spec.get("egress", ())
        if any("ipBlock" in peer for peer in rule["to"])
        for row in rule["ports"]
    }


def test_only_gateway_and_discord_bot_reach_the_internet_on_443_and_nothing_private(overlay: Any) -> None:
    outside = {pod.name: _outside(overlay, pod) for pod in overlay.pods() if _outside(overlay, pod)}
    allowed = {spec.label: {443} for spec in farm(discord=True) if spec.internet}
    if overlay.simulated:
        del allowed["gateway"]

    assert outside == allowed
    for policy in overlay.of("NetworkPolicy").values():
        for rule in policy["spec"].get("egress", ()):
            for peer in rule["to"]:
                if "ipBlock" in peer:
                    private = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"}
                    assert private <= set(peer["ipBlock"]["except"])


def test_priorities_keep_the_gateway_longest(overlay: Any) -> None:
    value = {name: item["value"] for name, item in overlay.of("PriorityClass").items()}
    rank = {pod.name: value[pod.spec["priorityClassName"]] for pod in overlay.pods()}
    runner = rank["runner-fib-btc"]

    assert rank["gateway"] > rank["redis"] > runner
    assert (runner > rank["ledger"]) == (overlay.environment == "live")


def test_egress_rules_name_only_pods_that_listen_on_the_port(overlay: Any) -> None:
    """A rule that is wider than its purpose is a door that nobody watches."""
    for name, policy in overlay.of("NetworkPolicy").items():
        for rule in policy["spec"].get("egress", ()):
            for peer in rule["to"]:
                if set(peer) != {"podSelector"}:
                    continue
                chosen = [pod for pod in overlay.pods() if _matches(peer["podSelector"], pod.labels)]
                assert chosen, name
                for pod, row in product(chosen, rule["ports"]):
                    listening = {port["containerPort"] for port in pod.container["ports"]}
                    assert _port(pod, row["port"]) in listening, f"{name} lets in {pod.name} at {row['port']}"
