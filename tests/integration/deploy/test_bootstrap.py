"""The bootstrap script on machines that lack uv, pip, the network, or a new enough Python."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from omega.testing.loading import module_at

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts/bootstrap.py"
NAME = "uv-0.13.8-py3-none-any.whl"
FAKE_UV = """#!/bin/sh
if [ "$1" = --version ]; then echo "uv {version}"; exit 0; fi
echo "$@" >> "{log}"
{then}
"""


@dataclass
class Index:
    """A package index with one file."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@pytest.fixture
def index() -> Iterator[Index]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            served.logins.append(self.headers.get("Authorization", ""))
            if self.path == "/simple/uv/":
                body = "".join(f'<a href="../../files/{name}#sha256=x">{name}</a>' for name in served.files).encode()
            else:
                body = served.files.get(self.path.removeprefix("/files/"), b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Index(f"http://127.0.0.1:{server.server_port}/simple")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join(30)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, on a machine without uv on PATH and without pip."""
    module = module_at(SCRIPT)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(module, "install_with_pip", lambda _home: None)
    for name in ("PIP_INDEX_URL", "SSL_CERT_FILE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return tmp_path


def _uv(root: Path, *, version: str = "0.13.8", then: str = "mkdir -p .venv/bin && touch .venv/bin/python") -> str:
    return FAKE_UV.format(version=version, log=root / "calls", then=then)


def _wheel(program: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("uv-0.13.8.data/scripts/uv", program)
    return packed.getvalue()


def _serve(script: ModuleType, index: Index, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    index.files[NAME] = body
    row = (NAME, hashlib.sha256(body).hexdigest())
    monkeypatch.setattr(script, "WHEELS", {"x86_64": row, "aarch64": row})
    monkeypatch.setenv("PIP_INDEX_URL", index.url)


def _calls(root: Path) -> list[str]:
    return (root / "calls").read_text().splitlines()


@pytest.mark.req("0.02")
def test_bootstrap_without_uv_and_pip_fetches_uv_and_installs_the_lock(
    script: ModuleType, index: Index, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _serve(script, index, _wheel(_uv(root)), monkeypatch)

    script.set_up(root, "dev")

    assert index.asked == ["/simple/uv/", f"/files/{NAME}"]
    assert _calls(root) == [f"sync --frozen --extra dev --python {sys.executable} --quiet"]
    assert [path.name for path in (root / ".uv").iterdir()] == ["uv"]
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 7  # four of them about what this Python, an empty file, cannot compile ahead
    assert "first start" in told[3]
    assert "first back-test" in told[5]


def test_bootstrap_compiles_what_a_farm_loads_also_where_python_writes_no_bytecode(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nine processes start at once; without bytecode each of them compiles the same thousand modules."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPYCACHEPREFIX={tmp_path}/cache PYTHONPATH={ROOT} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    script.compile_ahead(tmp_path)

    compiled = {path.name.split(".")[0] for path in (tmp_path / "cache").rglob("*.pyc")}
    assert {"orderpath", "sink", "sky", "bot", "replay", "bitget", "ccxt_trend", "session"} <= compiled
    assert capsys.readouterr().out.splitlines() == ["setup: compiling what the services load"]


def test_bootstrap_does_nothing_until_the_lock_changes(
    script: ModuleType, index: Index, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _serve(script, index, _wheel(_uv(root)), monkeypatch)
    script.set_up(root, "dev")
    capsys.readouterr()

    script.set_up(root, "dev")
    script.set_up(root, "local")  # a development set-up can run the farm as well
    assert len(_calls(root)) == 1
    assert capsys.readouterr().out == ""

    (root / "uv.lock").write_text("version = 2\n")
    script.set_up(root, "dev")
    assert len(_calls(root)) == 2
    assert len(index.asked) == 2, "the uv that an earlier set-up brought is used again"


def test_bootstrap_for_running_keeps_what_a_development_set_up_brought(
    script: ModuleType, index: Index, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(script, index, _wheel(_uv(root)), monkeypatch)
    script.set_up(root, "local")
    assert "--inexact" in _calls(root)[0]

    script.set_up(root, "dev")

    assert _calls(root)[1] == "sync --frozen --extra dev --quiet"


def test_bootstrap_prefers_a_uv_on_path_that_is_new_enough(
    script: ModuleType, index: Index, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, version in (("old", "0.4.9"), ("new", "0.11.0")):
        (root / place).mkdir()
        (root / place / "uv").write_text(_uv(root, version=version))
        (root / place / "uv").chmod(0o755)
    _serve(script, index, _wheel(_uv(root)), monkeypatch)

    monkeypatch.setenv("PATH", f"{root / 'old'}:/usr/bin:/bin")
    assert script.obtain_uv(root) == str(root / ".uv" / "uv")
    monkeypatch.setenv("PATH", f"{root / 'new'}:/usr/bin:/bin")
    assert script.obtain_uv(root) == "uv"


def test_bootstrap_refuses_a_wheel_that_is_not_the_published_one(
    script: ModuleType, index: Index, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(script, index, _wheel(_uv(root)), monkeypatch)
    index.files[NAME] = _wheel("#!/bin/sh\necho evil\n")

    with pytest.raises(script.SetupError, match="is not the file that was published"):
        script.set_up(root, "dev")

    assert not (root / ".uv").exists()


def test_bootstrap_logs_in_to_a_private_index_and_never_shows_the_password(
    script: ModuleType, index: Index, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _serve(script, index, _wheel(_uv(root)), monkeypatch)
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("http://", "http://me:hunter%402@"))

    script.set_up(root, "dev")

    assert index.logins == ["Basic " + base64.b64encode(b"me:hunter@2").decode()] * 2
    assert "hunter" not in capsys.readouterr().out


def test_bootstrap_without_network_says_what_to_do(
    script: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:hunter2@127.0.0.1:1/simple")

    with pytest.raises(
        script.SetupError, match=r"127\.0\.0\.1:1/simple/uv/ did not answer.*Check the network"
    ) as caught:
        script.set_up(root, "dev")

    assert "hunter2" not in str(caught.value)


def test_bootstrap_with_an_index_that_lacks_uv_says_so(
    script: ModuleType, index: Index, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(script, index, b"x", monkeypatch)
    index.files = {"uv-0.0.1-py3-none-any.whl": b"x"}

    with pytest.raises(script.SetupError, match=f"has no {NAME}"):
        script.set_up(root, "dev")


def test_bootstrap_on_an_old_python_names_the_package_to_install(
    script: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.sys, "version_info", (3, 10, 1))

    with pytest.raises(script.SetupError, match=r"needs 3\.11 or newer.*apt-get install python3"):
        script.set_up(root, "dev")


def test_bootstrap_that_failed_is_not_taken_for_done(
    script: ModuleType, index: Index, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(script, index, _wheel(_uv(root, then="mkdir -p .venv/bin; touch .venv/bin/python; exit 1")), monkeypatch)

    with pytest.raises(script.SetupError, match="could not install the packages"):
        script.set_up(root, "dev")

    assert not script.is_set_up(root, "dev")
    (root / ".venv" / ".omega-setup").write_text("{broken")
    assert not script.is_set_up(root, "dev")


@pytest.mark.parametrize("place", ["uv", "lib/bin/uv"])
def test_bootstrap_tells_scripts_where_uv_is_wherever_it_was_put(root: Path, place: str) -> None:
    (root / "scripts").mkdir()
    (root / "scripts/bootstrap.py").write_bytes(SCRIPT.read_bytes())
    program = root / ".uv" / place
    program.parent.mkdir(parents=True)
    program.write_text(_uv(root))
    program.chmod(0o755)
    told = subprocess.run(
        [sys.executable, "-I", "-S", str(root / "scripts/bootstrap.py"), "--uv"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert told.stdout == f"{program}\n"


def test_bootstrap_command_is_silent_when_all_is_set_up(script: ModuleType, root: Path) -> None:
    """The script itself, with the oldest tool there is: a Python that may lack pip."""
    (root / "scripts").mkdir()
    (root / "scripts/bootstrap.py").write_bytes(SCRIPT.read_bytes())
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").touch()
    stamp = {"lock": script.fingerprint(root), "extra": "dev"}
    (root / ".venv/.omega-setup").write_text(json.dumps(stamp))
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable

    for arguments in ([], ["--run"]):
        done = subprocess.run(
            [python, "-I", "-S", str(root / "scripts/bootstrap.py"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
