#!/usr/bin/env python3
"""Set the project up on a bare machine: find or fetch uv, then let it install what uv.lock names into .venv.

Standard library only, for nothing else is there yet: Debian's python3 comes without pip, venv and ensurepip.
Called by `make setup` and by every target that needs the environment; costs nothing when nothing changed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import html.parser
import json
import os
import platform
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOOR = (3, 11)
UV_FLOOR = (0, 11)
UV_VERSION = "0.13.8"
WHEELS = {
    "x86_64": (
        "uv-0.13.8-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    ),
    "aarch64": (
        "uv-0.13.8-py3-none-manylinux_2_28_aarch64.whl",
        "5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203",
    ),
}
"""File and SHA-256 of uv for each machine, as the package index publishes them."""

TIMEOUT_S = 60
WARM_S = 300
_WARM = (
    "from omega.backtest.compile import warm; from omega.backtest.sweep.warmth import warm_sweep; "
    "from omega.analytics.warmth import warm_scan; warm(); warm_sweep(); warm_scan()"
)
"""What a start would otherwise wait for: the loop's machine code, the sweep's and the pattern scan's."""
_LOADED = """
from services.gateway.venues._lean import exchange_class, use_lean_ccxt
use_lean_ccxt()
exchange_class("bitget")
import omega.runtime, omega.cli.up, skyfield.almanac, skyfield.api
import services.analytics.service, services.cosmic.service, services.discord_bot.service, services.gateway.service
import services.ledger.service, services.runner.service, services.simulator.service
from omega import plugins
for registry in (plugins.strategies, plugins.venues, plugins.factors, plugins.personas, plugins.analyses):
    registry.discover()
"""
"""What a farm loads when it starts."""
BRINGS = {"dev": {"dev", "local"}, "local": {"local"}}
"""What an extra includes: a development set-up can run the farm as well."""


class SetupError(Exception):
    """The machine lacks something. The message says what, and the next step."""


class _Links(html.parser.HTMLParser):
    """Collects the file links of a page of a package index."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"setup: {text}", flush=True)


def uv_version(program: str | Path) -> tuple[int, ...]:
    """Return the version of a uv, or () where it does not run."""
    try:
        answer = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in found.groups()) if found else ()


def find_uv(home: Path) -> str | None:
    """Return a uv that is new enough: from PATH, or the one that an earlier set-up brought."""
    for program in ("uv", str(home / "uv"), str(home / "lib" / "bin" / "uv")):
        if uv_version(program) >= UV_FLOOR:
            return program
    return None


def wheel() -> tuple[str, str]:
    """Return file name and SHA-256 of the uv for this machine."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform != "linux" or machine not in WHEELS:
        raise SetupError(
            f"there is no uv for {sys.platform} on {machine} that this script knows. Install uv {UV_VERSION} as "
            "https://docs.astral.sh/uv/ says, make sure that `uv --version` answers, and run this again."
        )
    return WHEELS[machine]


def install_with_pip(home: Path) -> str | None:
    """Install uv into `home` with the pip of this Python, hashes checked; return None where there is no pip."""
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, timeout=TIMEOUT_S, check=False).returncode:
        return None
    home.mkdir(parents=True, exist_ok=True)
    wanted = home / "requirement.txt"
    hashes = " ".join(f"--hash=sha256:{digest}" for _, digest in WHEELS.values())
    wanted.write_text(f"uv=={UV_VERSION} {hashes}\n", encoding="utf-8")
    say(f"installing uv {UV_VERSION} into {home.name}/ with pip")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--upgrade"]
    made = subprocess.run(
        [*pip, "install", *options, "--target", str(home / "lib"), "-r", str(wanted)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        say("pip could not install uv; fetching its wheel directly")
        return None
    return str(home / "lib" / "bin" / "uv")


def tls() -> ssl.SSLContext:
    """Return the certificates to trust: the ones that pip and uv are told to trust, else the system's."""
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT"))


def fetch(url: str) -> tuple[bytes, str]:
    """Return the body of a URL, and the URL that answered in the end."""
    request = urllib.request.Request(_without_password(url))
    login = urllib.parse.unquote(urllib.parse.urlsplit(url).netloc.rpartition("@")[0])
    if login:  # a private index: urllib does not take name and password from the address
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=tls()) as answer:
            return answer.read(), answer.geturl()
    except (OSError, urllib.error.URLError) as error:
        raise SetupError(
            f"{_without_password(url)} did not answer ({error}). Check the network, a proxy (HTTPS_PROXY) and, if you "
            "use your own package index, PIP_INDEX_URL; or install uv by hand and run this again."
        ) from error


def _without_password(url: str) -> str:
    """Return the URL without the name and password that a private index may carry."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def wheel_url(index: str, name: str) -> str:
    """Find the address of a file on uv's page of a package index."""
    body, page = fetch(index.rstrip("/") + "/uv/")
    links = _Links()
    links.feed(body.decode("utf-8", "replace"))
    asked = urllib.parse.urlsplit(index)
    for link in links.found:
        address, _ = urllib.parse.urldefrag(urllib.parse.urljoin(page, link))
        if urllib.parse.unquote(address).endswith("/" + name):
            parts = urllib.parse.urlsplit(address)
            same = parts.netloc == asked.netloc.rpartition("@")[2]
            # The login goes to the host that it was given for, and to no other.
            return urllib.parse.urlunsplit(parts._replace(netloc=asked.netloc)) if same else address
    raise SetupError(
        f"the package index {_without_password(index)} has no {name}. Point PIP_INDEX_URL to an index that carries "
        f"uv {UV_VERSION}, or install uv by hand and run this again."
    )


def install_from_index(home: Path) -> str:
    """Download the wheel of uv, check it, and unpack its one program into `home`."""
    name, digest = wheel()
    index = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    say(f"downloading uv {UV_VERSION} into {home.name}/ from {_without_password(index)}")
    body, _ = fetch(wheel_url(index, name))
    found = hashlib.sha256(body).hexdigest()
    if found != digest:
        raise SetupError(
            f"{name} from {_without_password(index)} is not the file that was published: SHA-256 {found}, expected "
            f"{digest}. Nothing was installed. Try again; if it stays, do not trust that index."
        )
    home.mkdir(parents=True, exist_ok=True)
    packed, program = home / name, home / "uv"
    packed.write_bytes(body)
    with zipfile.ZipFile(packed) as archive:
        program.with_suffix(".new").write_bytes(archive.read(f"uv-{UV_VERSION}.data/scripts/uv"))
    program.with_suffix(".new").chmod(0o755)
    program.with_suffix(".new").replace(program)
    packed.unlink()
    return str(program)


def obtain_uv(root: Path) -> str:
    """Return a uv that works, fetching one when there is none."""
    home = root / ".uv"
    program = find_uv(home) or install_with_pip(home) or install_from_index(home)
    if not uv_version(program):
        raise SetupError(
            f"{program} does not run on this machine. Remove {home}, install uv {UV_VERSION} by hand and run again."
        )
    return program


def fingerprint(root: Path) -> str:
    """Return a hash of everything that decides what is installed."""
    content = b"".join((root / name).read_bytes() for name in ("uv.lock", "pyproject.toml"))
    return hashlib.sha256(content).hexdigest()


def is_set_up(root: Path, extra: str) -> bool:
    """Tell whether .venv already holds what the lock file names."""
    stamp, python = root / ".venv" / ".omega-setup", root / ".venv" / "bin" / "python"
    try:
        last = json.loads(stamp.read_text(encoding="utf-8"))
        return python.exists() and last["lock"] == fingerprint(root) and extra in BRINGS[last["extra"]]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def sync(root: Path, uv: str, extra: str) -> None:
    """Install the locked packages with one extra into .venv and note what was installed."""
    stamp = root / ".venv" / ".omega-setup"
    stamp.unlink(missing_ok=True)
    command = [uv, "sync", "--frozen", "--extra", extra]
    if extra != "dev":
        command += ["--inexact"]  # never takes away what a development set-up brought
    if not (root / ".venv").exists():
        command += ["--python", sys.executable]
    certificates = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    if certificates:
        environment["SSL_CERT_FILE"] = certificates
    say(f"installing the locked packages ({extra}) into .venv")
    if subprocess.run([*command, "--quiet"], cwd=root, env=environment, check=False).returncode:
        raise SetupError(
            "uv could not install the packages; its own message stands above. Mostly that is the network (check it, "
            "and HTTPS_PROXY) or a full disk. What is there stays as it was: mend that and run this again."
        )
    stamp.write_text(json.dumps({"lock": fingerprint(root), "extra": extra}), encoding="utf-8")


def compile_ahead(root: Path) -> None:
    """Write the bytecode of what a farm loads: else each of its processes compiles it at the first start.

    Everything in .venv would be five times as much, and most of it is never loaded.
    """
    say("compiling what the services load")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [str(root / ".venv" / "bin" / "python"), "-c", _LOADED]
    try:
        subprocess.run(command, cwd=root, env=environment, check=True, timeout=WARM_S)
    except (OSError, subprocess.SubprocessError):
        say("not everything could be compiled ahead; the first start will take some seconds longer")


def warm(root: Path) -> None:
    """Compile the back-test's kernel into its cache: the first back-test then starts as fast as every other."""
    say("compiling the back-test kernel")
    command = [str(root / ".venv" / "bin" / "python"), "-c", _WARM]
    try:
        subprocess.run(command, cwd=root, check=True, timeout=WARM_S)
    except (OSError, subprocess.SubprocessError):
        say("the kernel could not be compiled ahead; the first back-test will take some seconds longer")


def set_up(root: Path, extra: str) -> None:
    """Bring .venv to the state that the lock file names; do nothing when it is there."""
    if sys.version_info < FLOOR:
        raise SetupError(
            f"this is Python {platform.python_version()}, and the farm needs 3.11 or newer. Install one (Debian 12, "
            "Ubuntu 24.04: apt-get install python3; Ubuntu 22.04: apt-get install python3.11) and name it: "
            "make PYTHON=python3.11 setup."
        )
    if is_set_up(root, extra):
        return
    sync(root, obtain_uv(root), extra)
    compile_ahead(root)
    if extra == "dev":
        warm(root)
    say("done")


def main() -> int:
    """Parse the command line, set up, and return the exit status (3: the machine lacks something)."""
    parser = argparse.ArgumentParser(description="Install uv where it is missing, then the locked packages into .venv.")
    parser.add_argument("--run", action="store_true", help="only what running the farm needs, no development tools")
    parser.add_argument("--uv", action="store_true", help="install nothing else; print where uv is")
    arguments = parser.parse_args()
    try:
        if arguments.uv:
            with contextlib.redirect_stdout(sys.stderr):
                program = obtain_uv(ROOT)
            print(program)
            return 0
        set_up(ROOT, "local" if arguments.run else "dev")
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
