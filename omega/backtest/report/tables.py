"""The tables of the page: months, every figure in words, the trades that mattered, settings. Called by the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

import numpy as np

from omega.backtest.metrics import DAY_NS, effect
from omega.backtest.report.axes import instant
from omega.backtest.report.words import GROUPS, NOTHING, duration, meets_target, money, percent, price, written
from omega.backtest.types import ExitKind, Result
from omega.domain.time import SECOND_NS
from omega.engine.bars import F64, I64

MOST_ROWS: Final = 200
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_STRONG: Final = 0.10
"""Return of a month from which its colour is at its strongest."""

LEFT: Final[dict[ExitKind, str]] = {
    ExitKind.NONE: NOTHING,
    ExitKind.STOP: "stop",
    ExitKind.TARGET: "target",
    ExitKind.SIGNAL: "signal",
    ExitKind.REVERSED: "reversed",
    ExitKind.TIME: "time limit",
    ExitKind.TRAIL: "trailing stop",
    ExitKind.LIQUIDATION: "liquidation",
    ExitKind.END: "end of history",
}


def months(ts: I64, equity: F64, capital: float) -> dict[tuple[int, int], float]:
    """Return the return of every (year, month) of the history; the first is from the capital.

    Shapes: ts and equity are (n,), n > 0. Units: fractions.
    """
    month = ts.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(month)), len(ts) - 1)
    closes = np.concatenate(([capital], np.maximum(equity[last], 0.0)))
    grown = np.divide(closes[1:], closes[:-1], out=np.ones(len(last)), where=closes[:-1] > 0.0) - 1.0
    numbers = month[last].tolist()
    return {(1970 + n // 12, n % 12 + 1): float(r) for n, r in zip(numbers, grown, strict=True)}


def months_table(result: Result) -> str:
    """Lay the months out, a row a year, the colour telling gain from loss and how much."""
    paid = np.append(result.equity[:-1], result.final_equity)  # what is open at the end is closed, at its cost
    found = months(result.ts, paid, result.capital)
    years = sorted({year for year, _ in found})
    head = "".join(f"<th>{name}</th>" for name in _MONTHS)
    rows = "".join(f"<tr><th>{year}</th>{_year(found, year)}</tr>" for year in years)
    return (
        f'<div class="scroll"><table class="months"><thead><tr><th></th>{head}<th>Year</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def figures_tables(figures: Mapping[str, float]) -> str:
    """Lay out every figure with its unit, its meaning and the farm's target, a card a group."""
    return "".join(_group(name, figures) for name in GROUPS if any(word.name in figures for word in GROUPS[name]))


def trades_table(result: Result, whole_list: str) -> str:
    """Lay out the legs that moved the account most, and say where the others are."""
    trades = result.trades
    rows = np.sort(np.argsort(-np.abs(effect(result)), kind="stable")[:MOST_ROWS])
    many, funded = len(result.symbols) > 1, bool(trades.funding.any())
    names = [
        *(["symbol"] if many else []),
        "side",
        "entered",
        "left",
        "by",
        "held",
        "size",
        "entry",
        "exit",
        "profit",
        "return",
        "MAE",
        "MFE",
        "fees",
        *(["funding"] if funded else []),
    ]
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(_trade(result, row, many=many, funded=funded) for row in rows.tolist())
    left_out = trades.n - len(rows)
    more = f"The {len(rows)} of {trades.n:,} legs that moved the account most, oldest first; " if left_out else ""
    where = f"all of them: <code>{escape(whole_list)}</code>" if whole_list else "all of them: <code>--trades</code>"
    note = f'<p class="note">{more}{where}. Press a heading to sort.</p>' if left_out or whole_list else ""
    return (
        f'<div class="scroll tall"><table class="trades" data-sortable><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{note}"
    )


def settings_table(result: Result) -> str:
    """Lay out what is needed to run it again: strategy, parameters, data hash, every setting."""
    rows = [
        ("strategy", result.strategy),
        ("markets", ", ".join(result.symbols)),
        ("data hash", result.data_hash or NOTHING),
        *((f"param {name}", _plain(value)) for name, value in result.params.items()),
        *_flat(result.settings),
    ]
    body = "".join(f"<tr><th>{escape(str(name))}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    return f'<div class="scroll"><table class="settings"><tbody>{body}</tbody></table></div>'


def _year(found: Mapping[tuple[int, int], float], year: int) -> str:
    cells, grown = [], 1.0
    for month in range(1, 13):
        value = found.get((year, month))
        cells.append(_cell(value))
        grown *= 1.0 + (value or 0.0)
    return "".join(cells) + _cell(grown - 1.0, style="sum")


def _cell(value: float | None, style: str = "") -> str:
    if value is None:
        return "<td></td>"
    strength = min(abs(value) / _STRONG, 1.0) ** 0.6
    side = "gain" if value > 0.0 else "loss" if value < 0.0 else ""
    shown = percent(value, signed=True).removesuffix(" %")
    return f'<td class="{side} {style}" style="--s:{strength:.2f}">{shown}</td>'


def _group(name: str, figures: Mapping[str, float]) -> str:
    rows = []
    for word in GROUPS[name]:
        if word.name not in figures:
            continue
        met = meets_target(word, figures[word.name])
        sign = "" if met is None else '<b class="met">met</b>' if met else '<b class="missed">missed</b>'
        limit = "" if word.target is None else f" Target: {written(word.name, word.target)}."
        rows.append(
            f"<tr><th>{escape(word.label)}<small>{escape(word.says)}.{limit}</small></th>"
            f"<td>{written(word.name, figures[word.name])}{sign}</td></tr>"
        )
    table = f'<table class="figures"><tbody>{"".join(rows)}</tbody></table>'
    return f'<section class="card"><h3>{escape(name)}</h3>{table}</section>'


def _trade(result: Result, row: int, *, many: bool, funded: bool) -> str:
    trades = result.trades
    pnl, size, entry = float(trades.pnl[row]), float(trades.size[row]), float(trades.entry_price[row])
    held = int(trades.exit_ts[row] - trades.entry_ts[row])
    side = "long" if trades.side[row] > 0 else "short"
    tone = "gain" if pnl > 0.0 else "loss"
    cells: list[tuple[float | str, str, str]] = [
        *([(result.symbols[int(trades.symbol[row])], "", result.symbols[int(trades.symbol[row])])] if many else []),
        (side, "", side),
        (int(trades.entry_ts[row]) // SECOND_NS, "t", instant(int(trades.entry_ts[row]))),
        (int(trades.exit_ts[row]) // SECOND_NS, "t", instant(int(trades.exit_ts[row]))),
        (int(trades.exit_kind[row]), "w", LEFT[ExitKind(int(trades.exit_kind[row]))]),
        (held // SECOND_NS, "", duration(held / DAY_NS)),
        (size, "", f"{size:,.5g}"),
        (entry, "", price(entry)),
        (float(trades.exit_price[row]), "", price(float(trades.exit_price[row]))),
        (pnl, tone, money(pnl, signed=True)),
        (pnl / (size * entry), tone, percent(pnl / (size * entry), signed=True)),
        (float(trades.mae[row]), "", percent(float(trades.mae[row]), signed=True)),
        (float(trades.mfe[row]), "", percent(float(trades.mfe[row]), signed=True)),
        (float(trades.fee[row]), "", money(float(trades.fee[row]))),
        *([(float(trades.funding[row]), "", money(float(trades.funding[row]), signed=True))] if funded else []),
    ]
    made = [f'<td{_class(style)} data-v="{_key(key)}">{escape(shown)}</td>' for key, style, shown in cells]
    return f"<tr>{''.join(made)}</tr>"


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _key(key: float | str) -> str:
    return f"{key:.8g}" if isinstance(key, float) else escape(str(key))


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ", ".join(_plain(part) for part in value)
    return str(value) if value not in (None, "") else NOTHING
