"""URLs of the server: every spelling, no password in any text."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from omega.bus import connect, masked
from omega.bus.endpoint import Endpoint, Patience, client
from omega.config import Settings, load
from omega.errors import ConfigError


@pytest.mark.req("1.55", "1.56", "2.24", "2.25", "2.26")
@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:7000/3", "redis://h:7000/3"),
        ("redis://:secret@h:7000", "redis://:***@h:7000/0"),
        ("valkey://u:secret@h", "redis://u:***@h:6379/0"),
        ("rediss://h/1", "rediss://h:6379/1"),
        ("valkeys://h", "rediss://h:6379/0"),
        ("unix:///tmp/s.sock?db=2", "unix:///tmp/s.sock?db=2"),
        ("valkey+unix:///tmp/s.sock", "unix:///tmp/s.sock?db=0"),
    ],
)
def test_endpoint_every_spelling_is_read_and_masked(url: str, shown: str):
    endpoint = Endpoint.parse(url)

    assert endpoint.shown == shown
    assert "secret" not in repr(endpoint)
    assert "secret" not in masked(url)


@pytest.mark.parametrize(
    "url", ["", "http://h", "redis://h:0", "redis://h:70000", "redis://h/-1", "redis://:secret@h:99999"]
)
def test_endpoint_wrong_url_is_a_config_error_that_says_the_range(url: str):
    with pytest.raises(ConfigError) as caught:
        Endpoint.parse(url)

    assert "secret" not in str(caught.value)


async def test_client_has_retries_timeouts_and_a_bounded_pool():
    """The trap of two constructors with two defaults: ours are explicit."""
    made = client(Endpoint.parse("redis://h"), Patience(pool_size=7))
    options = made.connection_pool.connection_kwargs

    assert made.connection_pool.max_connections == 7
    assert options["retry"]._retries == 2
    assert (options["socket_timeout"], options["socket_connect_timeout"], options["health_check_interval"]) == (
        5.0,
        1.0,
        15,
    )
    await made.aclose()


async def test_connect_takes_the_settings_section():
    class Section:
        url = "redis://h:1/0"
        connect_timeout_s, socket_timeout_s, pool_size, degraded_s, isolated_s = 3.0, 4.0, 9, 1.5, 5.0
        outbox, claim_s, max_deliveries, start_s, claim_idle_s = 10, 7.0, 3, 6.0, 21.0

    patience = connect(Section(), env="dev", source="runner/1").patience

    assert (patience.connect_s, patience.start_s, patience.socket_s) == (3.0, 6.0, 4.0)
    assert (patience.outbox, patience.failures, patience.claim_idle_s) == (10, 3, 21.0)


@pytest.mark.parametrize("degraded_s", [0.05, 0.3, 1.5, 60.0])
def test_heartbeats_of_the_settings_fit_into_the_silence_that_degrades(degraded_s: float):
    """A bus whose heartbeat is rarer than the silence that it allows would flap."""
    redis = Settings.model_validate({"redis": {"degraded_s": degraded_s, "isolated_s": degraded_s * 2}}).redis

    assert Patience.of(redis).ping_s * 2 < degraded_s


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"ping_s": 2.0}, r"ping_s \(2 s\).*degraded_s \(1\.5 s\)"),
        ({"ping_s": 1.5}, "ping_s"),
        ({"ping_s": 0.0}, "ping_s"),
        ({"ping_s": math.nan}, "ping_s"),
        ({"degraded_s": 5.0}, r"degraded_s \(5 s\).*isolated_s \(5 s\)"),
    ],
)
def test_patience_that_would_flap_is_refused_with_both_names(wrong: dict[str, float], named: str):
    with pytest.raises(ConfigError, match=named):
        Patience(**wrong)  # type: ignore[arg-type]


def test_settings_whose_bus_would_flap_are_refused_at_load(tmp_path: Path):
    (tmp_path / "base.yaml").write_text("redis: {degraded_s: 5, isolated_s: 2}\n")

    words = r"base\.yaml line 1: redis: degraded_s \(5 s\).*isolated_s \(2 s\)"
    with pytest.raises(ConfigError, match=words) as caught:
        load(config_dir=tmp_path, environ={})

    assert caught.value.exit_code == 2
