"""What a strategy sees in place of an array while a sweep traces it: the same operators, evaluated late.

Whatever cannot be put off (a sum, a sort, an index array) gets real values at once, so a strategy runs as it is
written. What would be unsound to trace raises Untraceable, and the sweep runs that strategy plainly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from omega.backtest.sweep.lazy.nodes import Apply, Array, Constant, Leaf, Node, Part, Patch, cast

_ANONYMOUS: Final = count()
_TYPES: Final[dict[object, np.dtype[Any]]] = {}
_MOST_TYPES: Final = 1_000
_LIKE: Final = {np.zeros_like: 0, np.ones_like: 1}


class Untraceable(TypeError):  # noqa: N818 - a verdict on a strategy, not a failure
    """The strategy does something with an array that cannot be put off safely."""


class Column(NDArrayOperatorsMixin):
    """A one-dimensional array that remembers how it is made.

    Attributes:
        node: the expression behind it; assigning to rows replaces it.
    """

    __array_priority__ = 1000

    def __init__(self, node: Node) -> None:
        self.node = node
        self._viewed = False
        self._is_view = False

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (self.node.n,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of an array."""
        return self.node.dtype

    @property
    def size(self) -> int:
        """As of an array."""
        return self.node.n

    @property
    def ndim(self) -> int:
        """As of an array."""
        return 1

    def __len__(self) -> int:
        return self.node.n

    def __iter__(self) -> Iterator[Any]:
        return iter(self.node.values())

    def __bool__(self) -> bool:
        return bool(self.node.values())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:  # noqa: FBT001 - numpy's protocol
        made = self.node.values()
        if dtype is not None and made.dtype != dtype:
            return made.astype(dtype)
        return made.copy() if copy else made

    def __getattr__(self, name: str) -> Any:
        # The values are read-only, so a method that would change them in place raises instead of changing a copy.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.node.values(), name)

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Column:
        """As of an array."""
        return Column(cast(self.node, np.dtype(dtype)))

    def copy(self) -> Column:
        """As of an array."""
        return Column(self.node)

    def __getitem__(self, key: Any) -> Any:
        bounds = _bounds(key, self.node.n)
        if bounds is None:
            return self.node.values()[np.asarray(key) if isinstance(key, Column) else key]
        self._viewed = True
        seen = Column(Part(self.node, bounds[0], bounds[1] - bounds[0]))
        seen._is_view = True
        return seen

    def __setitem__(self, key: Any, value: Any) -> None:
        self.check_sole()
        bounds = _bounds(key, self.node.n)
        if bounds is not None:
            patch = _spread(value, bounds[1] - bounds[0])
            self.node = Patch(self.node, bounds[0], cast(patch, self.node.dtype))
        elif isinstance(key, Column) and key.dtype == np.bool_ and key.size == self.node.n and _is_scalar(value):
            narrow = np.asarray(value).astype(self.node.dtype)[()]
            self.node = Apply(np.where, (key.node, narrow, self.node), self.node.dtype, self.node.n)
        else:
            made = self.own()
            made[np.asarray(key) if isinstance(key, Column) else key] = value
            self.node = Leaf(made, ("anonymous", next(_ANONYMOUS)))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        node = None if method != "__call__" or options else _apply(ufunc, inputs)
        if out is None and node is not None and _vanishes(node):
            return Column(Constant(node.n, np.float64(0.0)))
        if node is None:
            return _at_once(getattr(ufunc, method), inputs, out, options)
        if out is None:
            return Column(node)
        [target] = out
        if not isinstance(target, Column):
            np.copyto(target, node.values(), casting="same_kind")
            return target
        target.check_sole()
        if not np.can_cast(node.dtype, target.dtype, "same_kind"):
            raise Untraceable(f"{ufunc.__name__} in place would cast {node.dtype} to {target.dtype}")
        target.node = cast(node, target.dtype)
        return target

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if function is np.where and len(args) == 3 and not options:  # noqa: PLR2004 - condition and two values
            node = _apply(np.where, args)
            if node is not None:
                return Column(node)
        if function in _LIKE and len(args) == 1 and isinstance(args[0], Column) and set(options) <= {"dtype"}:
            dtype = np.dtype(options.get("dtype") or args[0].dtype)
            return Column(Constant(args[0].size, dtype.type(_LIKE[function])))
        return function(*_real(args), **_real(options))

    def own(self) -> Array:
        """Return a copy of the values to write into.

        Raises:
            Untraceable: another name sees these rows, or they belong to another array: both would go out of step.
        """
        self.check_sole()
        return self.node.values().copy()

    def check_sole(self) -> None:
        """Refuse to go on where a change would be seen through another name, or would have to be.

        Raises:
            Untraceable: see own.
        """
        if self._viewed or self._is_view:
            raise Untraceable("an array is changed after a view of it was taken, or through a view")


def node_of(value: Any, n: int) -> Node:
    """Return the expression behind whatever a strategy hands over as a column of n rows."""
    return _spread(value, n)


def _vanishes(node: Apply) -> bool:
    """Whether it is a column of the bars times 0.0, as a stop of 0 % is: 0.0 in every row, to the last bit."""
    if node.function is not np.multiply or node.dtype != np.float64:
        return False
    return any(
        isinstance(column, Leaf) and column.finite and isinstance(factor, float) and repr(float(factor)) == "0.0"
        for column, factor in (node.args, node.args[::-1])
    )


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, Column) and (not isinstance(value, np.ndarray) or value.ndim == 0)


def _bounds(key: Any, n: int) -> tuple[int, int] | None:
    if not isinstance(key, slice) or key.step not in {None, 1}:
        return None
    start, stop, _ = key.indices(n)
    return start, max(start, stop)


def _spread(value: Any, n: int) -> Node:
    """Return n rows of a value: an expression, an array of n rows, or a scalar."""
    if isinstance(value, Column):
        if value.size != n:
            raise Untraceable(f"{value.size} rows meet {n}")
        return value.node
    made = np.asarray(value)
    if made.ndim == 0:
        return Constant(n, made.dtype.type(made))
    if made.shape != (n,):
        raise Untraceable(f"an array of shape {made.shape} meets {n} rows")
    # A copy: the strategy may go on changing its own array.
    return Leaf(made.copy(), ("anonymous", next(_ANONYMOUS)))


def _apply(function: Any, inputs: tuple[Any, ...]) -> Apply | None:
    """Return the expression of an elementwise function, None where numpy itself must decide."""
    if isinstance(function, np.ufunc) and (function.nout != 1 or function.signature is not None):
        return None
    if any(isinstance(arg, list | tuple | str) for arg in inputs):
        return None
    sizes = {len(arg) for arg in inputs if not _is_scalar(arg)}
    if len(sizes) != 1:
        return None
    [n] = sizes
    args = tuple(arg if _is_scalar(arg) else _spread(arg, n) for arg in inputs)
    return Apply(function, args, _type(function, args), n)


def _type(function: Any, args: tuple[Any, ...]) -> np.dtype[Any]:
    """Return the type of what numpy makes of some expressions and scalars; asked once for each kind of them."""
    kinds = tuple(arg.dtype if isinstance(arg, Node) else (type(arg), repr(arg)) for arg in args)
    found = _TYPES.get((function, kinds))
    if found is None:
        made = function(*[np.ones(0, arg.dtype) if isinstance(arg, Node) else arg for arg in args])
        if len(_TYPES) >= _MOST_TYPES:
            _TYPES.clear()
        found = _TYPES[function, kinds] = made.dtype
    return found


def _real(value: Any) -> Any:
    """Return the same thing with every column as an array."""
    if isinstance(value, Column):
        return value.node.values()
    if isinstance(value, tuple | list):
        return type(value)(_real(item) for item in value)
    if isinstance(value, dict):
        return {key: _real(item) for key, item in value.items()}
    return value


def _at_once(function: Callable[..., Any], inputs: tuple[Any, ...], out: Any, options: dict[str, Any]) -> Any:
    """Call numpy with real arrays; a column that it writes into gets the new values."""
    if out is None:
        return function(*_real(inputs), **_real(options))
    targets = [target.own() if isinstance(target, Column) else target for target in out]
    function(*_real(inputs), out=tuple(targets), **_real(options))
    for target, made in zip(out, targets, strict=True):
        if isinstance(target, Column):
            target.node = Leaf(made, ("anonymous", next(_ANONYMOUS)))
    return out[0] if len(out) == 1 else out
