"""A result on a terminal: the story, the figures in two columns, what to doubt. Called by `omega backtest`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from omega.backtest.first import interpreted
from omega.backtest.report.axes import instant
from omega.backtest.report.story import story
from omega.backtest.report.words import GROUPS, NOTHING, Word, timeframe, written
from omega.backtest.types import Result

if TYPE_CHECKING:
    from rich.table import Table

_HASH = 12


def show(
    result: Result,
    figures: Mapping[str, float],
    doubts: Sequence[str],
    *,
    trials: int | None = None,
    files: Mapping[str, str] | None = None,
) -> None:
    """Print a result for people.

    Args:
        result: what `backtest` returned.
        figures: its metrics.
        doubts: what weakens it.
        trials: how many trials the strategy has had, None when nobody counted.
        files: what was written, by kind.
    """
    from rich.console import Console

    console = Console(highlight=False)
    span = f"{instant(int(result.ts[0]))} to {instant(int(result.ts[-1]))} UTC"
    about = f"{result.strategy} on {', '.join(result.symbols)}, {timeframe(result.timeframe_ns)} bars, {span}"
    console.print(about, style="bold", markup=False)
    console.print(" ".join(story(result, figures)), markup=False)
    console.print(_grid(figures))
    for text in doubts:
        console.print(f"! {text}", markup=False, style="yellow")
    counted = f"; trial {trials} of this strategy" if trials else ""
    way = ", uncompiled: machine code follows for the next run" if interpreted() else ""
    console.print(
        f"{result.bars:,} bars in {result.elapsed_s * 1e3:,.1f} ms ({result.bars_per_s:,.0f} bars/s{way}); "
        f"data {result.data_hash[:_HASH] or NOTHING}{counted}",
        style="dim",
        markup=False,
    )
    for kind, name in (files or {}).items():
        console.print(f"{kind}: {name}", markup=False, soft_wrap=True)


def _grid(figures: Mapping[str, float]) -> Table:
    """Lay the groups out in two columns of about the same height."""
    from rich.console import Group
    from rich.table import Table

    columns: tuple[list[Table], list[Table]] = ([], [])
    for name, words in GROUPS.items():
        if shown := [word for word in words if word.name in figures]:
            heights = [sum(table.row_count + 1 for table in column) for column in columns]
            columns[heights.index(min(heights))].append(_table(name, shown, figures))
    grid = Table.grid(padding=(0, 4))
    grid.add_row(*[Group(*column) for column in columns])
    return grid


def _table(name: str, words: Sequence[Word], figures: Mapping[str, float]) -> Table:
    from rich.table import Table

    table = Table(title=name, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for word in words:
        table.add_row(word.label, written(word.name, figures[word.name]))
    return table
