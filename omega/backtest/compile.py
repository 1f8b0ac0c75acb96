"""Compile the loop over history and every kernel function below it, once a machine.

Called by omega.backtest.run and by sweeps. numba does not follow calls into plain functions, so each function gets a
twin whose globals hold the twins of what it calls. No fastmath: a fused multiply and add would move the last bit.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from omega._without import without

_PACKAGES: Final = ("omega/engine", "omega/backtest", "omega/backtest/sweep", "omega/analytics")
_ROOT: Final = Path(__file__).resolve().parents[2]
_NEEDLESS: Final = ("scipy", "coverage", "cffi", "yaml")
"""What numba loads where it finds it, for functions that nobody calls: linear algebra, a coverage tool, a C parser."""


_WAITS: Final = ContextVar("waits", default=True)


class NotCompiled(Exception):  # noqa: N818 - an answer, not a failure
    """There is no machine code yet for a function and the arguments that it was given."""


@contextmanager
def without_waiting() -> Iterator[None]:
    """Let a function that is not compiled yet raise NotCompiled instead of compiling; nothing of it has run then."""
    before = _WAITS.set(False)
    try:
        yield
    finally:
        _WAITS.reset(before)


@cache
def compiled(function: FunctionType) -> Callable[..., Any]:
    """Return the compiled twin of a function; its machine code is kept on disk for the next process."""
    return _twin(function, keep=True)


def warm() -> float:
    """Compile what a back-test needs into the cache, as `make setup` does; return the seconds it took."""
    from omega.backtest.warmth import exercise

    began = time.perf_counter()
    exercise()
    return time.perf_counter() - began


def cache_folder() -> Path:
    """Return where machine code is kept: NUMBA_CACHE_DIR, else beside the project, else the user's own cache.

    The folder's name follows from the sources, because numba looks at the outermost function's file alone.
    """
    return lasting_folder() or Path(tempfile.mkdtemp(prefix="omega-numba-"))


def lasting_folder() -> Path | None:
    """Return where machine code outlives this process, None where no such place can be written to."""
    for home in _homes():
        folder = home / _sources()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def _homes() -> tuple[Path, ...]:
    named = os.environ.get("NUMBA_CACHE_DIR", "")
    own = (Path(named),) if named else ()
    project = (_ROOT / "var" / "numba",) if (_ROOT / "pyproject.toml").exists() else ()
    user = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    return (*own, *project, user / "omega" / "numba")


@cache
def _sources() -> str:
    """Return a digest of the sources of the kernel, of the loop and of the pattern scan."""
    digest = hashlib.blake2b(digest_size=8)
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _numba() -> Any:
    with without(*_NEEDLESS):
        import numba
        from numba.core import config
    config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]  # numba sets its settings at import
    return numba


@cache
def _prepare_to_compile() -> None:
    """Load what numba knows of Python and numpy."""
    with without(*_NEEDLESS):
        import numba.np.arraymath  # noqa: F401 - for its effect: what it registers, the tables below take in
        from numba.core.registry import cpu_target

        cpu_target.typing_context.refresh()  # what else it imports, numba would import while it compiles
        cpu_target.target_context.refresh()


@cache
def _inner(function: FunctionType) -> Callable[..., Any]:
    return _twin(function, keep=False)


def _twin(function: FunctionType, *, keep: bool) -> Callable[..., Any]:
    scope = dict(function.__globals__)
    for name in function.__code__.co_names:
        called = scope.get(name)
        if isinstance(called, FunctionType) and called.__module__.startswith("omega."):
            scope[name] = _inner(called)
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
    # Inlined, a call costs nothing. Counting references would cost more than a bar: nothing here makes an array.
    inner = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    options = {"cache": True, "no_cfunc_wrapper": True} if keep else inner
    twin: Callable[..., Any] = _numba().njit(nogil=True, error_model="numpy", _nrt=False, **options)(copy)
    if keep:
        _find_before_preparing(twin)
    return twin


def _find_before_preparing(twin: Any) -> None:
    """Let a function look for its machine code on the disk before numba prepares to compile it.

    numba does it the other way round: a third of the time to a first result goes into tables that nobody reads.
    """
    kept = twin._cache  # noqa: SLF001 - numba has no public way to look for machine code
    look = getattr(kept, "_load_overload", None)
    if look is None:  # another version of numba: it looks in its own way
        return

    def load_overload(signature: Any, target: Any) -> Any:
        with kept._guard_against_spurious_io_errors():  # noqa: SLF001 - as numba itself looks
            found = look(signature, target)
        if found is None:
            if not _WAITS.get():
                raise NotCompiled
            _prepare_to_compile()
        return found

    kept.load_overload = load_overload
