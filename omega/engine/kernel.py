"""The kernel mark: records the scalar functions that history runs compiled and the runner runs plain.

Called at import by every module of omega.engine that holds kernel functions; read by the back-test compiler.
"""

from collections.abc import Callable
from typing import Final, TypeVar

_F = TypeVar("_F", bound=Callable[..., object])

KERNEL: Final[list[Callable[..., object]]] = []
"""Every kernel function in definition order, so a callee always stands before its callers."""


def kernel(function: _F) -> _F:
    """Record a scalar function as part of the kernel and hand it back untouched.

    A kernel function uses floats, ints, bools and small tuples, the four arithmetic operators, comparison, min and
    max, and calls other kernel functions alone: that is what keeps its compiled twin equal to the last bit.
    """
    KERNEL.append(function)
    return function
