"""Strategies traced instead of run: indicators once for all combinations, the rest only where something is entered."""

from omega.backtest.sweep.lazy import bits
from omega.backtest.sweep.lazy.column import Column, Untraceable
from omega.backtest.sweep.lazy.nodes import Node, Rows, cast
from omega.backtest.sweep.lazy.planes import Planes
from omega.backtest.sweep.lazy.twin import Indicators, Traced, Twin, traced

__all__ = ["Column", "Indicators", "Node", "Planes", "Rows", "Traced", "Twin", "Untraceable", "bits", "cast", "traced"]
