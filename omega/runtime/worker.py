"""One child process for heavy work, so that a service's loop never waits for arithmetic.

The service owns a `Worker` and gives it jobs; the module that it names calls `work`. Both ends speak pickles over the
child's stdin and stdout. The child starts with the first job, ends when it has nothing to do, and is ended when a job
takes too long: whatever it does, the service answers on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import omega.errors
from omega.errors import OmegaError, Rejected, Stale, TransientError

_LENGTH: Final = struct.Struct(">Q")
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_NICE: Final = 5
"""How far the child stands back behind the services of the same machine."""


class Worker:
    """A child process that runs `python -m MODULE` and does one job after another.

    Attributes:
        within_s: the longest that one job may take.
        ended: called with why, whenever a child has ended: `idle`, `late`, `died`, `closed`.
    """

    def __init__(self, module: str, *, within_s: float, ended: Callable[[str], None] | None = None) -> None:
        self.within_s = within_s
        self._module = module
        self._ended = ended or (lambda _why: None)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._used = time.monotonic()
        self._closed = False
        self._reaping: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int:
        """The child's process id, 0 while there is none."""
        return self._process.pid if self._process else 0

    async def run(self, job: object) -> Any:
        """Do one job and return what came of it; jobs wait for their turn.

        Raises:
            Stale: it took longer than `within_s`; the child was ended.
            TransientError: the child died over it.
            OmegaError: what the job raised, by class.
        """
        async with self._turn:
            process = None if self._closed else await self._started()
            if process is None or self._closed:
                await self._end("closed")
                raise TransientError("the worker is closing; ask again when the service is back")
            try:
                async with asyncio.timeout(self.within_s):
                    answer = await _exchange(process, job)
            except TimeoutError:
                await self._end("late")
                raise Stale(
                    f"the work took longer than {self.within_s:g} s and was ended; ask for less, or give it more time"
                ) from None
            except (asyncio.IncompleteReadError, OSError):
                await self._end("died")
                raise TransientError(
                    "the worker process died over this; ask again, and look at its memory limit if it dies again"
                ) from None
            except BaseException:  # whoever asked has gone: the child is in the middle of an answer nobody reads
                await self._end("late")
                raise
            self._used = time.monotonic()
        return _result(answer)

    async def rest(self, idle_s: float) -> None:
        """End the child when it has had nothing to do for so long; the next job starts another."""
        if self._process and not self._turn.locked() and time.monotonic() - self._used > idle_s:
            async with self._turn:
                await self._end("idle")

    async def close(self) -> None:
        """End the child for good; a job that is being done fails."""
        self._closed = True
        await self._end("closed")
        async with self._turn:  # whoever was starting a child has ended it
            await self._end("closed")
        await asyncio.gather(*self._reaping)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process and self._process.returncode is not None:
            await self._end("died")
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
            )
        return self._process

    async def _end(self, why: str) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        reaping = asyncio.create_task(self._reap(process, why))
        self._reaping.add(reaping)
        reaping.add_done_callback(self._reaping.discard)
        await asyncio.shield(reaping)  # whoever waits may be cancelled; the child is seen to its end all the same

    async def _reap(self, process: asyncio.subprocess.Process, why: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if process.stdin:
            process.stdin.close()
        self._ended(why)


async def _exchange(process: asyncio.subprocess.Process, job: object) -> tuple[str, Any, Any]:
    assert process.stdin
    assert process.stdout
    body = pickle.dumps(job)
    process.stdin.write(_LENGTH.pack(len(body)) + body)
    await process.stdin.drain()
    (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
    answer: tuple[str, Any, Any] = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - our own child
    return answer


def _result(answer: tuple[str, Any, Any]) -> Any:
    what, value, words = answer
    if what == "done":
        return value
    kind = getattr(omega.errors, value, None)
    if isinstance(kind, type) and issubclass(kind, OmegaError):
        raise kind(words)
    raise Rejected(f"this failed inside the worker: {value}: {words}", kind="BUG")


def work(do: Callable[[Any], object]) -> None:
    """Do jobs until the parent closes the pipe; what they print goes to stderr. The child's whole main function."""
    os.nice(_NICE)
    pipe_in, pipe_out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while head := pipe_in.read(_LENGTH.size):
        job = pickle.loads(pipe_in.read(_LENGTH.unpack(head)[0]))  # noqa: S301 - our own parent
        body = pickle.dumps(_done(do, job))
        pipe_out.write(_LENGTH.pack(len(body)) + body)
        pipe_out.flush()


def _done(do: Callable[[Any], object], job: object) -> tuple[str, object, str]:
    try:
        return ("done", do(job), "")
    except Exception as error:  # noqa: BLE001 - the child's edge: the parent says it to whoever asked
        return ("failed", type(error).__name__, str(error))


def _environment() -> Mapping[str, str]:
    """Return what the child sees: no setting and no secret of the farm, one thread, caches where it may write."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMEGA_")}
    cache = Path(tempfile.gettempdir())
    added = dict.fromkeys(_ONE_THREAD, "1") | {"MPLCONFIGDIR": str(cache / "omega-matplotlib")}
    if not os.access(Path(omega.errors.__file__).parent, os.W_OK):
        added["NUMBA_CACHE_DIR"] = str(cache / "omega-numba")
    return added | kept
