"""One child process for heavy work, so that a service's loop never waits for arithmetic.

The service owns a `Worker` and gives it jobs; the module that it names calls `work`. Both ends speak pickles over a
socket, the child's stdin. The child starts with the first job, ends when it has nothing to do, and is ended when a job
takes too long: whatever it does, the service answers on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import omega.errors
from omega.errors import OmegaError, Rejected, Stale, TransientError

_LENGTH: Final = struct.Struct(">Q")
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_NICE: Final = 5
"""How far the child stands back behind the services of the same machine."""


@dataclass(frozen=True, slots=True)
class _Child:
    """A process without pipes.

    Asyncio takes a process for alive until its pipes are read to their end; nobody reads an answer that nobody wants.
    """

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, job: object) -> tuple[str, Any, Any]:
        body = pickle.dumps(job)
        self.writer.write(_LENGTH.pack(len(body)) + body)
        await self.writer.drain()
        (length,) = _LENGTH.unpack(await self.reader.readexactly(_LENGTH.size))
        answer: tuple[str, Any, Any] = pickle.loads(await self.reader.readexactly(length))  # noqa: S301 - our own child
        return answer

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self.writer.close()


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
        self._child: _Child | None = None
        self._turn = asyncio.Lock()
        self._used = time.monotonic()
        self._closed = False
        self._reaping: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int:
        """The child's process id, 0 while there is none."""
        return self._child.process.pid if self._child else 0

    async def run(self, job: object) -> Any:
        """Do one job and return what came of it; jobs wait for their turn.

        Raises:
            Stale: it took longer than `within_s`; the child was ended.
            TransientError: the child died over it.
            OmegaError: what the job raised, by class.
        """
        async with self._turn:
            child = None if self._closed else await self._started()
            if child is None or self._closed:
                await self._end("closed")
                raise TransientError("the worker is closing; ask again when the service is back")
            try:
                async with asyncio.timeout(self.within_s):
                    answer = await child.ask(job)
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
        if self._child and not self._turn.locked() and time.monotonic() - self._used > idle_s:
            async with self._turn:
                await self._end("idle")

    async def close(self) -> None:
        """End the child for good; a job that is being done fails."""
        self._closed = True
        await self._end("closed")
        async with self._turn:  # whoever was starting a child has ended it
            await self._end("closed")
        await asyncio.gather(*self._reaping)

    async def _started(self) -> _Child:
        if self._child and self._child.process.returncode is not None:
            await self._end("died")
        if self._child is None:
            ours, theirs = socket.socketpair()
            with theirs:
                reader, writer = await asyncio.open_connection(sock=ours)
                try:
                    process = await asyncio.create_subprocess_exec(
                        sys.executable, "-m", self._module, stdin=theirs.fileno(), env=_environment()
                    )
                except BaseException:
                    writer.close()
                    raise
            self._child = _Child(process, reader, writer)
        return self._child

    async def _end(self, why: str) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        reaping = asyncio.create_task(self._reap(child, why))
        self._reaping.add(reaping)
        reaping.add_done_callback(self._reaping.discard)
        await asyncio.shield(reaping)  # whoever waits may be cancelled; the child is seen to its end all the same

    async def _reap(self, child: _Child, why: str) -> None:
        await child.end()
        self._ended(why)


def _result(answer: tuple[str, Any, Any]) -> Any:
    what, value, words = answer
    if what == "done":
        return value
    kind = getattr(omega.errors, value, None)
    if isinstance(kind, type) and issubclass(kind, OmegaError):
        raise kind(words)
    raise Rejected(f"this failed inside the worker: {value}: {words}", kind="BUG")


def work(do: Callable[[Any], object]) -> None:
    """Do jobs until the parent closes the socket; what they print goes to stderr. The child's whole main function."""
    os.nice(_NICE)
    os.dup2(2, 1)
    with socket.socket(fileno=os.dup(0)) as service, service.makefile("rwb") as pipe:
        while head := pipe.read(_LENGTH.size):
            job = pickle.loads(pipe.read(_LENGTH.unpack(head)[0]))  # noqa: S301 - our own parent
            body = pickle.dumps(_done(do, job))
            pipe.write(_LENGTH.pack(len(body)) + body)
            pipe.flush()


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
