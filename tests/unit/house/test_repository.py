"""What lies in the repository: tree, decisions, scripts, what CI runs, what images carry, the coverage gate."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from omega.testing.loading import module_at

ROOT = Path(__file__).resolve().parents[3]
TREE = {"bench", "bots", "config", "data", "deploy", "docs", "omega", "personas", "scripts", "services", "tests"}
DECISION = re.compile(r"(\d{4})-[a-z0-9-]+\.md")


def tracked() -> list[Path]:
    """Return the files of the repository, from its root."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone: git does not tell which files belong to the project")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return [Path(line) for line in listed.stdout.splitlines()]


@pytest.mark.req("4.31")
def test_repository_has_no_folder_beyond_the_tree_of_the_design() -> None:
    folders = {path.parts[0] for path in tracked() if len(path.parts) > 1 and not path.parts[0].startswith(".")}

    assert folders == TREE


@pytest.mark.req("4.33")
def test_repository_decisions_are_numbered_once_have_a_status_and_stand_in_the_list() -> None:
    pages = sorted(path for path in (ROOT / "docs/adr").glob("*.md") if path.name != "README.md")
    listed = re.findall(r"^\| (\d+) \| \[.+\]\((.+)\) \|$", (ROOT / "docs/adr/README.md").read_text(), re.MULTILINE)

    assert [name for _, name in listed] == [path.name for path in pages]
    for (number, name), path in zip(listed, pages, strict=True):
        assert (found := DECISION.fullmatch(name)), name
        assert int(found[1]) == int(number)
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. "), name
        assert re.search(r"^Status: (proposed|accepted|superseded by \d+)$", text, re.MULTILINE), name
        assert {"## Context", "## Decision", "## Consequences"} <= set(text.splitlines()), name


@pytest.mark.req("3.02")
def test_repository_every_script_with_a_shebang_finds_its_interpreter_and_can_be_run() -> None:
    scripts = [path for path in tracked() if (ROOT / path).is_file() and (ROOT / path).read_bytes()[:2] == b"#!"]

    assert Path("scripts/bootstrap.py") in scripts
    for path in scripts:
        first = (ROOT / path).read_text(encoding="utf-8").partition("\n")[0]
        assert re.fullmatch(r"#!/usr/bin/env (sh|bash|python3)", first), f"{path}: {first}"
        assert os.access(ROOT / path, os.X_OK), f"{path} is not executable"


@pytest.mark.req("4.43", "4.07")
def test_repository_ci_runs_the_target_that_people_run_and_it_holds_every_step() -> None:
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    planned = subprocess.run(
        ["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert ci[-1] == "make test"
    for step in ("ruff check .", "ruff format --check .", "bin/mypy", "bin/lint-imports", "generate.py --check"):
        assert step in planned, step
    assert "scripts/run_tests.py" in planned
    assert planned.splitlines()[-1].endswith("run_tests.py ")


@cache
def lock() -> dict[str, list[dict[str, Any]]]:
    """Return the locked packages by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]:
        found.setdefault(package["name"], []).append(package)
    return found


def image_content(extra: str) -> set[str]:
    """Return every distribution that the image of an extra installs, by the lock file."""
    [farm] = lock()["omega-bot-farm"]
    waiting = [*farm["dependencies"], *farm["optional-dependencies"][extra]]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        wanted = waiting.pop()
        key = (wanted["name"], tuple(wanted.get("extra", ())))
        if key in seen:
            continue
        seen.add(key)
        for package in lock()[wanted["name"]]:
            waiting += package.get("dependencies", ())
            for name in key[1]:
                waiting += package.get("optional-dependencies", {}).get(name, ())
    return {name for name, _ in seen}


IMAGES = {"analytics", "cosmic", "discord-bot", "gateway", "ledger", "runner", "simulator"}


@pytest.mark.req("1.01", "1.92", "2.21")
def test_repository_images_carry_what_their_work_needs_and_no_more() -> None:
    carried = {image: image_content(image) for image in IMAGES}

    assert {image for image, content in carried.items() if "ccxt" in content} == {"gateway"}
    assert {image for image, content in carried.items() if "pandas" in content} <= {"analytics"}
    assert {image for image, content in carried.items() if "numba" in content} == {"analytics"}
    assert {image for image, content in carried.items() if "ta-lib" in content} == {"analytics", "runner"}
    assert {"numpy", "ta-lib", "redis", "pydantic"} <= carried["runner"]


@pytest.mark.req("1.01", "1.92", "2.21")
def test_repository_runner_with_every_strategy_loads_no_exchange_client_and_no_pandas() -> None:
    """What the bot's process really imports, in a fresh interpreter."""
    script = (
        "import sys, services.runner.service\n"
        "from omega.plugins import strategies\n"
        "strategies.discover()\n"
        "print(len(list(strategies)), *{name.partition('.')[0] for name in sys.modules})\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )

    count, *loaded = done.stdout.split()
    files = [path for path in (ROOT / "bots").glob("*.py") if not path.name.startswith("_")]
    assert int(count) == len(files)
    assert {"numpy", "talib"} <= set(loaded)
    assert not {"ccxt", "pandas", "numba", "sqlalchemy", "discord", "aiohttp", "scipy"} & set(loaded)


def test_repository_lock_file_holds_a_hash_of_every_file_that_is_installed() -> None:
    """An image or a laptop takes the published bytes or nothing."""
    for name, packages in lock().items():
        for package in packages:
            files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
            assert files or name == "omega-bot-farm", name
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]) for file in files), name


BRANCHES = "def of(number):\n" + "".join(f"    if number == {n}:\n        return {n}\n" for n in range(60))


@pytest.fixture(scope="module")
def judge() -> Callable[[Path], int]:
    """The last step of `make test`, from the script itself."""
    found: Callable[[Path], int] = module_at(ROOT / "scripts/run_tests.py").judge
    return found


@pytest.mark.req("0.30", "4.36", "2.121")
@pytest.mark.parametrize(
    ("core", "bots", "whole", "passes"),
    [(60, 60, 4_000, True), (0, 60, 4_000, False), (60, 0, 100, False)],
    ids=["sound", "the core untested in a large sound whole", "strategies untested"],
)
def test_repository_gate_wants_the_floor_of_the_whole_and_of_the_core(
    core: int, bots: int, whole: int, passes: bool, tmp_path: Path, judge: Callable[[Path], int]
) -> None:
    """Each case is a small project, measured by the tracer with the sources that ours names."""
    sources = coverage_settings()["source"]
    for folder in (*sources, "omega/domain"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "omega/domain/value.py").write_text(BRANCHES)
    (tmp_path / "bots/cross.py").write_text(BRANCHES)
    (tmp_path / "services/plain.py").write_text("".join(f"LINE_{n} = {n}\n" for n in range(whole)))
    calls = f"[value.of(n) for n in range({core}) for _ in (0,)]; [cross.of(n) for n in range({bots})]"
    (tmp_path / "tests.py").write_text(
        f"import services.plain\nfrom omega.domain import value\nfrom bots import cross\n{calls}\nvalue.of(-1)\n"
    )
    (tmp_path / "pyproject.toml").write_text(f"[tool.coverage.run]\nbranch = true\nsource = {sources}\n")
    command = [sys.executable, "-m", "coverage", "run", "tests.py"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)

    assert (judge(tmp_path) == 0) is passes


def coverage_settings() -> dict[str, Any]:
    """Return what the tracer is told to measure."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, Any] = settings["tool"]["coverage"]["run"]
    return found


@pytest.mark.req("4.36")
def test_repository_coverage_counts_every_package_by_branch() -> None:
    """A folder that is not named here could rot without the gate seeing it."""
    run = coverage_settings()

    assert (run["branch"], set(run["source"])) == (True, {"omega", "services", "bots", "personas"})


@pytest.mark.req("0.01")
def test_repository_every_guide_states_the_maturity_of_what_it_describes() -> None:
    """A reader who is about to trust money to a part must see how far it is."""
    for path in (ROOT / "docs/howto").glob("*.md"):
        title, empty, maturity, *_ = path.read_text(encoding="utf-8").splitlines()
        assert title.startswith("# "), path.name
        assert (empty, bool(re.fullmatch(r"Maturity: (experimental|beta|stable)\.", maturity))) == ("", True), path.name


@pytest.mark.req("0.01")
def test_repository_version_is_semantic_and_the_changelog_speaks_of_what_comes_next() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    entries = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", version)
    assert entries[0] == "Unreleased" or entries[0].startswith(f"{version} ")
