"""One registry: found by scanning, refused twice, suggested when misspelt, extended from outside."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omega.errors import ConfigError
from omega.plugins import (
    Registry,
    command,
    commands,
    factor,
    factors,
    param,
    params,
    persona,
    personas,
    strategies,
    strategy,
    venue,
    venues,
)

ALL = (strategies, personas, factors, venues, commands)


@params
class Empty:
    """One harmless parameter."""

    width: int = param(3, low=1, high=9, doc="how wide")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put the process-wide registries back as they were."""
    kept = [(registry, dict(registry._entries), dict(registry._places)) for registry in ALL]
    yield
    for registry, entries, places in kept:
        registry._entries, registry._places = entries, places


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on the import path; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.split(".")[0].startswith(("thirdparty", "house")):
            del sys.modules[name]


def plant(site: Path, *, name: str, group: str, body: str) -> None:
    """Install a third-party distribution with one entry point, as pip would."""
    (site / "thirdparty_bot.py").write_text(body)
    info = site / "thirdparty_bot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty-bot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = thirdparty_bot\n")


THIRD_PARTY = '''"""A stranger's bot."""
from omega.engine import Signals
from omega.plugins import param, params, strategy

@params
class Params:
    width: int = param(3, low=1, high=9, doc="how wide")

@strategy("stranger", params=Params, warmup=5, reasons=("never",))
def signals(bars, p):
    return Signals.none(bars.n)
'''


@pytest.mark.req("0.24")
def test_registry_third_party_entry_point_is_found(site: Path):
    plant(site, name="stranger", group="omega.strategies", body=THIRD_PARTY)

    names = strategies.discover()

    assert "stranger" in names
    entry = strategies.get("stranger")
    assert (entry.doc, entry.warmup(entry.params()), entry.read_only) == ("A stranger's bot.", 5, False)


def test_registry_entry_point_that_registers_nothing_is_refused(site: Path):
    plant(site, name="silent", group="omega.strategies", body="")

    with pytest.raises(ConfigError, match="registered no 'silent'"):
        strategies.discover()


def test_registry_entry_point_that_cannot_load_is_refused(site: Path):
    plant(site, name="broken", group="omega.strategies", body="import no_such_module_anywhere")

    with pytest.raises(ConfigError, match="no_such_module_anywhere"):
        strategies.discover()


def test_registry_scan_skips_underscored_modules_and_names_broken_ones(site: Path):
    house = site / "house"
    house.mkdir()
    (house / "__init__.py").touch()
    (house / "_private.py").write_text("raise RuntimeError('imported')")
    (house / "good.py").write_text(
        "from omega.plugins import persona\npersona('guest', tone='', traits={}, lines={})\n"
    )
    assert "guest" in personas.discover("house")

    (house / "bad.py").write_text("import no_such_module_anywhere")
    with pytest.raises(ConfigError, match=r"house\.bad .*no_such_module_anywhere"):
        personas.discover("house")


def test_registry_duplicate_name_is_refused_with_both_places():
    found: Registry[int] = Registry("things", home="nowhere")
    found.register("one", 1, where="a:1")
    found.register("one", 2, where="a:1")

    with pytest.raises(ConfigError, match="'one' is registered twice, at a:1 and at b:2"):
        found.register("one", 3, where="b:2")

    assert found.get("one") == 2


def test_registry_unknown_name_suggests_the_nearest():
    strategies.discover()

    with pytest.raises(ConfigError, match="did you mean 'ema_cross'"):
        strategies.get("ema_cros")


def test_registry_empty_says_what_to_call():
    with pytest.raises(ConfigError, match="discover"):
        Registry[int]("things", home="nowhere").get("x")


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "-x"])
def test_registry_malformed_name_is_refused(name: str):
    with pytest.raises(ConfigError, match="is no name"):
        Registry[int]("things", home="nowhere").register(name, 1, where="a:1")


def test_registry_iterates_in_the_order_of_names():
    found: Registry[int] = Registry("things", home="nowhere")
    for name, value in (("b", 2), ("a", 1)):
        found.register(name, value, where=name)

    assert (list(found), found.names(), len(found), "a" in found, "c" in found) == ([1, 2], ("a", "b"), 2, True, False)


def test_decorators_register_each_kind_and_hand_back_what_they_got():
    @strategy("planted", params=Empty, warmup=lambda p: 2 * p.width, reasons=("r",))
    def signals(bars: object, p: Empty) -> None: ...

    @factor("planted", kind="calculated", ttl_s=60, source="sky", unit="degree")
    def moon() -> None: ...

    @venue("planted", sandbox=True)
    class Adapter: ...

    @command("planted", name="planted list", tier="operator", guild_only=True)
    def handler() -> None: ...

    voice = persona("planted", tone="dry", traits={"warmth": 0.1}, lines={"order.filled": ("a", "b")}, colour=3)

    assert strategies.get("planted").signals is signals
    assert strategies.get("planted").warmup(Empty(width=4)) == 8
    assert (factors.get("planted").function, factors.get("planted").unit) == (moon, "degree")
    assert (venues.get("planted").adapter, venues.get("planted").meta) == (Adapter, {"sandbox": True})
    made = commands.get("planted list")
    assert (made.handler, made.area, made.tier, made.meta) == (handler, "planted", "operator", {"guild_only": True})
    assert personas.get("planted") is voice
    assert voice.meta == {"colour": 3}
    assert strategies.where("planted").startswith(f"{__name__}:")


def test_strategy_read_only_without_a_report_is_refused():
    with pytest.raises(ConfigError, match="no report"):
        strategy("mute", params=Empty, warmup=1, reasons=("r",), read_only=True)


def test_strategy_with_a_class_that_declares_nothing_is_refused():
    with pytest.raises(ConfigError, match="@params"):
        strategy("bare", params=int, warmup=1, reasons=("r",))
