"""The list of processes is consistent in itself."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest

from omega.topology import BOTS, INFRASTRUCTURE, farm, images, runner


def test_farm_starts_nothing_before_what_it_needs() -> None:
    started = {spec.name for spec in INFRASTRUCTURE}
    for spec in farm(discord=True):
        assert set(spec.needs) <= started, spec.name
        started.add(spec.name)


def test_farm_without_simulator_and_discord_leaves_them_out() -> None:
    assert [spec.name for spec in farm(("a",), simulator=False)] == [
        "ledger",
        "gateway",
        "cosmic",
        "analytics",
        "runner-a",
    ]


def test_farm_ports_differ_between_kinds_of_service() -> None:
    ports = [spec.port for spec in farm((BOTS[0],), discord=True)]

    assert len(set(ports)) == len(ports)


def test_farm_labels_are_dns_labels() -> None:
    for spec in (*farm(discord=True), *INFRASTRUCTURE):
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", spec.label)


@pytest.mark.parametrize("module", sorted({spec.module for spec in farm(discord=True)}))
def test_farm_modules_can_be_run(module: str) -> None:
    assert find_spec(f"{module}.__main__") is not None


def test_runner_reaches_redis_alone_and_names_its_bot() -> None:
    spec = runner("fib-btc")

    assert (spec.label, spec.needs, spec.internet, spec.bot) == ("runner-fib-btc", ("redis",), False, "fib-btc")
    assert spec.container_env("paper")["OMEGA_RUNNER__BOT"] == "fib-btc"


def test_container_env_points_at_the_simulator_only_where_there_is_one() -> None:
    [gateway] = [spec for spec in farm() if spec.name == "gateway"]

    assert gateway.container_env("paper")["OMEGA_GATEWAY__REST_URL"] == "http://simulator:8090"
    assert "OMEGA_GATEWAY__REST_URL" not in gateway.container_env("live", simulator=False)


def test_images_are_one_a_kind_of_service() -> None:
    assert images() == ("analytics", "cosmic", "discord_bot", "gateway", "ledger", "runner", "simulator")
