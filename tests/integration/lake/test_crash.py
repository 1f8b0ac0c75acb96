"""The lake after a kill at every step of an import, and on a full disk: as before or as after, never between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omega.engine import Bars
from omega.errors import EnvironmentFault
from omega.storage.lake import Lake, Origin, Series, content_hash, file_hash

ROOT = Path(__file__).parents[3]
MINUTE_NS = 60_000_000_000
EVE_NS = 1_735_689_600_000_000_000 - 100 * MINUTE_NS
SERIES = Series("binance", "BTCUSDT", MINUTE_NS)

# Kills itself with SIGKILL at the n-th change of a file below the lake, n = 1, 2, ..., until an import comes through.
# Every import runs in a fork: the process that forks has no thread and has touched no file.
KILLER = """
import json, os, signal, shutil, sys
from pathlib import Path
import numpy as np
import pyarrow.parquet
from omega.engine import Bars
from omega.errors import EnvironmentFault
from omega.storage.lake import Lake, Origin, Prefer, Series, audit, content_hash

root, series = Path(sys.argv[1]), Series("binance", "BTCUSDT", 60_000_000_000)
k = np.arange(200)

def bars(price):
    close = price + k / 8
    return Bars.of(int(sys.argv[2]) + k * series.timeframe_ns, close, close + 1, close - 1, close, k + 1.0)

def put(offered):
    with Lake(root).writer(series) as writer:
        writer.put([offered], Origin("s", "", ("import",), "c", 1), prefer=Prefer.OFFERED)
        writer.note_asked([(1, 2)])
        writer.commit()

def put_first(offered):
    with Lake(root).writer(series) as writer:
        writer.put([offered], Origin("s", "", ("import",), "c", 1))
        writer.commit()

def killed_at(n):
    left = n
    def hook(event, args):
        nonlocal left
        writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in {"os.rename", "os.remove", "os.mkdir"}) and str(root) in str(args[0]):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    put(bars(200.0))

def inside(work):
    sys.stdout.flush()
    child = os.fork()
    if not child:
        work()
        sys.stdout.flush()
        os._exit(0)
    return os.waitpid(child, 0)[1]

def look(n, died):
    def hashed():
        return content_hash(Lake(root).read(series))
    found, faults = hashed(), [fault for item in audit(root, now_ns=1 << 62) for fault in item.faults]
    asked = Lake(root).asked(series)
    put(bars(200.0))
    print(json.dumps({"n": n, "died": died, "found": found, "faults": faults, "asked": asked, "next": hashed(),
                      "left": sorted(p.name for p in Lake(root).folder(series).glob("*.new"))}))

inside(lambda: put_first(bars(100.0)))
pristine = root.with_name("pristine")
shutil.copytree(root, pristine)
for n in range(1, 100):
    shutil.rmtree(root)
    shutil.copytree(pristine, root)
    status = inside(lambda: killed_at(n))
    inside(lambda: look(n, os.WIFSIGNALED(status)))
    if not os.WIFSIGNALED(status):
        break
"""


def bars(price: float) -> Bars:
    k = np.arange(200)
    close = price + k / 8
    return Bars.of(EVE_NS + k * MINUTE_NS, close, close + 1, close - 1, close, k + 1.0)


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.kills
def test_import_killed_at_any_step_leaves_the_lake_before_or_after(tmp_path: Path) -> None:
    """An import that changes two years and the spans asked for, killed before every one of its file operations."""
    done = run(KILLER, str(tmp_path / "lake"), str(EVE_NS))
    assert done.returncode == 0, done.stderr
    seen: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]

    before, after = content_hash(bars(100.0)), content_hash(bars(200.0))
    states = ["before" if one["found"] == before else "after" if one["found"] == after else "HALF" for one in seen]
    assert "HALF" not in states
    assert states == sorted(states, reverse=True), "once changed, the lake stays changed"
    assert states.count("before") > 5
    assert states.count("after") > 5
    for one, state in zip(seen, states, strict=True):
        assert one["faults"] == []
        assert one["asked"] == ([] if state == "before" else [[1, 2]])
        assert (one["next"], one["left"]) == (after, []), "the next writer clears up and goes on"
    assert [one["died"] for one in seen] == [True] * (len(seen) - 1) + [False]


FULL = """
import resource, sys
from omega.cli.data import app
from omega.errors import OmegaError
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    app(sys.argv[1:], standalone_mode=False)
except OmegaError as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    raise SystemExit(error.exit_code)
"""


def test_import_on_a_full_disk_says_so_and_changes_nothing(tmp_path: Path) -> None:
    """The system refuses to write on, as on a full disk; real candles of a month do not fit."""
    lake = Lake(tmp_path / "lake")
    with lake.writer(SERIES) as writer:
        writer.put([bars(100.0)], Origin("s", "", ("import",), "c", 1))
        writer.commit()
    files = {path: file_hash(path) for path in lake.root.rglob("*.*") if path.is_file()}

    done = run(FULL, "import", "data/candles/BTCUSDT-1m.parquet", "--venue", "binance", "--lake", str(lake.root))

    assert done.returncode == 3, done.stderr
    assert "EnvironmentFault: cannot write" in done.stderr
    assert "File too large. Nothing was changed; free space or choose another place" in done.stderr
    assert {path: file_hash(path) for path in files} == files
    assert not list(lake.root.rglob("*.new"))
    assert content_hash(lake.read(SERIES)) == content_hash(bars(100.0))


def test_import_where_no_folder_can_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "lake").touch()

    with pytest.raises(EnvironmentFault, match="cannot make the lake"), Lake(tmp_path / "lake").writer(SERIES):
        pass
