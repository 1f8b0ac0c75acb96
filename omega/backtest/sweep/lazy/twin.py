"""A strategy's function once more, with traced columns in place of arrays and shared indicators in place of talib.

Called by the sweep for every combination; the strategy's own module stays as it is.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, Final

import numpy as np

from omega.backtest.sweep.lazy.column import Column, node_of
from omega.backtest.sweep.lazy.nodes import Constant, Leaf, Node
from omega.engine.bars import Bars
from omega.engine.signals import Signals

INDICATOR_BYTES: Final = 55_000_000
"""What the shared indicators may hold: thirteen averages over a year of minutes, a tile of the grid and what passes."""

_COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """Signals as expressions: `side` and `exit` for every row, the rest wherever something is entered.

    Shapes: every expression has the rows of the bars.
    """

    side: Node
    exit: Node
    stop_distance: Node
    targets: tuple[Node, ...]
    confidence: Node
    reason: Node


class Indicators:
    """TA-Lib with a memory: a call on the same columns with the same arguments is made once while there is room."""

    def __init__(self, room: int = INDICATOR_BYTES) -> None:
        self._room = room
        self._held = 0
        self._made: OrderedDict[object, tuple[Leaf, ...]] = OrderedDict()
        self.calls = 0
        self.hits = 0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a TA-Lib function that looks into the memory first."""

        def call(*args: Any, **options: Any) -> Any:
            if any(isinstance(arg, np.ndarray) for arg in (*args, *options.values())):
                real = [arg.node.values() if isinstance(arg, Column) else arg for arg in args]
                return function(*real, **options)
            return self._call(function, args, options)

        return call

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.calls += 1
        given = tuple(("node", arg.node.id) if isinstance(arg, Column) else (type(arg).__name__, arg) for arg in args)
        named = tuple(
            (name, arg.node.id if isinstance(arg, Column) else (type(arg).__name__, arg))
            for name, arg in sorted(options.items())
        )
        key = (function.__name__, given, named)
        found = self._made.get(key)
        if found is None:
            real = [arg.node.values() if isinstance(arg, Column) else arg for arg in args]
            chosen = {name: arg.node.values() if isinstance(arg, Column) else arg for name, arg in options.items()}
            made = function(*real, **chosen)
            arrays = made if isinstance(made, tuple) else (made,)
            found = self._keep(key, tuple(Leaf(array, (key, i)) for i, array in enumerate(arrays)))
        else:
            self.hits += 1
            self._made.move_to_end(key)
        columns = tuple(Column(leaf) for leaf in found)
        return columns if len(columns) > 1 else columns[0]

    def _keep(self, key: object, leaves: tuple[Leaf, ...]) -> tuple[Leaf, ...]:
        for leaf in leaves:
            leaf.values().flags.writeable = False
        self._made[key] = leaves
        self._held += _size(leaves)
        while self._held > self._room and len(self._made) > 1:
            _, gone = self._made.popitem(last=False)
            self._held -= _size(gone)
        return leaves


class Twin:
    """The traced form of one strategy over one set of bars."""

    def __init__(self, signals: Callable[..., Any], bars: Bars, indicators: Indicators) -> None:
        self._signals = _rebound(signals, indicators)
        self._bars = bars
        # Bars are checked when they are made: none of their columns holds what is no number.
        self._columns = {name: Leaf(getattr(bars, name), name, finite=True) for name in _COLUMNS}

    def __call__(self, params: object) -> Traced:
        """Return what the strategy says under some parameters.

        Raises:
            Untraceable: it does something that cannot be put off; run it plainly.
        """
        columns: Any = {name: Column(leaf) for name, leaf in self._columns.items()}
        said = self._signals(Bars(**columns), params)
        if isinstance(said, Traced):
            return said
        return traced(said)


def traced(signals: Signals) -> Traced:
    """Return finished signals in the form of traced ones."""
    return _trace(
        side=signals.side,
        exit_=signals.exit,
        stop_distance=signals.stop_distance,
        targets=signals.targets,
        confidence=signals.confidence,
        reason=signals.reason,
    )


def _trace(
    *, side: Any, exit_: Any, stop_distance: Any, targets: tuple[Any, ...], confidence: Any, reason: Any
) -> Traced:
    n = len(side)
    return Traced(
        side=node_of(side, n),
        exit=_or(exit_, n, np.bool_(False)),
        stop_distance=_or(stop_distance, n, np.float64(0.0)),
        targets=tuple(node_of(target, n) for target in targets),
        confidence=_or(confidence, n, np.float64(1.0)),
        reason=_or(reason, n, np.int16(0)),
    )


def _or(value: Any, n: int, default: np.generic) -> Node:
    return Constant(n, default) if value is None else node_of(value, n)


class _TracedSignals:
    """Stands where the strategy says `Signals`; keeps what `Signals.of` is given."""

    @staticmethod
    def of(
        *,
        side: Any,
        exit: Any = None,  # noqa: A002 - the word that strategies use for it
        stop_distance: Any = None,
        targets: tuple[Any, ...] = (),
        confidence: Any = None,
        reason: Any = None,
    ) -> Traced:
        return _trace(
            side=side, exit_=exit, stop_distance=stop_distance, targets=targets, confidence=confidence, reason=reason
        )

    none = staticmethod(Signals.none)


class _Numpy:
    """Stands where the strategy says `np`: arrays of one value are put off too, everything else is numpy's own."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def zeros(shape: Any, dtype: Any = np.float64, **options: Any) -> Any:
        made = _full(shape, np.dtype(dtype).type(0), options)
        return np.zeros(shape, dtype, **options) if made is None else made

    @staticmethod
    def ones(shape: Any, dtype: Any = np.float64, **options: Any) -> Any:
        made = _full(shape, np.dtype(dtype).type(1), options)
        return np.ones(shape, dtype, **options) if made is None else made

    @staticmethod
    def full(shape: Any, fill_value: Any, dtype: Any = None, **options: Any) -> Any:
        if isinstance(fill_value, Column | np.ndarray | list | tuple):
            return np.full(shape, np.asarray(fill_value), dtype, **options)
        known = np.asarray(fill_value, dtype)
        value = known.dtype.type(known)
        made = _full(shape, value, options)
        return np.full(shape, fill_value, dtype, **options) if made is None else made


class _Library:
    """Stands where the strategy says `talib`."""

    def __init__(self, module: ModuleType, indicators: Indicators) -> None:
        self._module = module
        self._indicators = indicators

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        return self._indicators.wrap(found) if callable(found) else found


def _full(shape: Any, value: np.generic, options: dict[str, Any]) -> Column | None:
    if options or isinstance(shape, bool) or not isinstance(shape, int | np.integer) or shape <= 0:
        return None
    return Column(Constant(int(shape), value))


def _rebound(signals: Callable[..., Any], indicators: Indicators) -> Callable[..., Any]:
    """Return the function with its module's names bound to the traced stand-ins, helpers of the module included."""
    if not isinstance(signals, FunctionType):
        return signals
    world = signals.__globals__
    library = sys.modules.get("talib")
    bound: dict[str, Any] = {}
    for name, value in world.items():
        if value is np:
            bound[name] = _Numpy()
        elif value is library and library is not None:
            bound[name] = _Library(library, indicators)
        elif value is Signals:
            bound[name] = _TracedSignals
        elif isinstance(value, FunctionType) and value.__globals__ is world:
            bound[name] = _again(value, bound)
        elif callable(value) and getattr(value, "__module__", None) in {"talib", "talib._ta_lib"}:
            bound[name] = indicators.wrap(value)
        else:
            bound[name] = value
    return _again(signals, bound)


def _again(function: FunctionType, world: dict[str, Any]) -> FunctionType:
    made = FunctionType(function.__code__, world, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _size(leaves: tuple[Leaf, ...]) -> int:
    return sum(leaf.values().nbytes for leaf in leaves)
