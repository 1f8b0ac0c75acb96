"""Positions: structural harmony, Fibonacci alignment of entries and stops, golden balance, advice as information."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from omega.analytics.analyses._books import ESTIMATED, account_book, markets
from omega.analytics.analysis import Analysis, Finding, Mark, MarkKind, Number, Panel, PanelKind, Series, Tone, number
from omega.analytics.context import Context
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.positions import Positions, PositionView
    from omega.engine.account import AccountBook

QUOTE: Final = "quote currency"


@params
class Params:
    """When advice is given."""

    rebalance_below: float = param(0.4, low=0.0, high=1.0, doc="harmony below which to rebalance")
    exposure_max: float = param(2.0, low=0.1, high=20.0, unit="x of equity", doc="exposure above which to reduce")


@analysis("position", title="Positions", params=Params, needs=("books",), uses=("bars",), least=0)
def position(context: Context, p: Params) -> Analysis:
    """Read the account's open positions; nothing here is an order, nor advice to raise the exposure."""
    from omega.analytics.positions import AdviceRules, analyse_positions

    assert context.books is not None
    book, stops, _ = account_book(context.books)
    rules = AdviceRules(rebalance_below=p.rebalance_below, exposure_max=p.exposure_max)
    read = analyse_positions(book, markets(context), stops=stops, rules=rules)
    return Analysis(
        analysis="position",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=context.market.n if context.market is not None else 0,
        summary=_summary(read),
        findings=(
            *(_view(context, one) for one in read.views),
            *(Finding("advice", context.now_ns, f"{one.text} (information, no order)") for one in read.advice),
        ),
        numbers=_numbers(read),
        caveats=(ESTIMATED, "Harmony measures the structure of a book; nobody has shown that it earns anything."),
        marks=_marks(context, book, stops),
        panels=_panels(read),
    )


def _summary(read: Positions) -> str:
    if not read.views:
        return "Nothing is open."
    harmony = getattr(read.harmony, "score", None)
    told = f"harmony {harmony:.2f} ({read.harmony.label})" if harmony is not None else read.harmony.why  # type: ignore[union-attr]
    open_ = f"{len(read.views)} open position{'s' if len(read.views) > 1 else ''}"
    exposure = f"{read.exposure:.2f} x of the equity" if read.exposure is not None else "no equity to measure against"
    return f"{open_} worth {read.total:,.2f}, {exposure}; {told}; open profit {read.pnl:+,.2f}."


def _numbers(read: Positions) -> tuple[Number, ...]:
    parts = {name: getattr(read.harmony, name, None) for name in ("score", "side", "exposure", "steps", "series")}
    return (
        *(number(f"harmony: {name}", value, "0 to 1") for name, value in parts.items()),
        number("equity", read.equity, QUOTE),
        number("long", read.long, QUOTE),
        number("short", read.short, QUOTE),
        number("open profit", read.pnl, QUOTE),
        number("long over short", read.long_short, "ratio"),
        number("exposure", read.exposure, "x of equity"),
        number("return on margin", read.return_on_margin, "fraction"),
        number("heavier side over lighter", read.balance.ratio, "ratio, golden 1.618"),
        number("trim of the heavier side to the golden ratio", read.balance.trim, QUOTE),
    )


def _view(context: Context, one: PositionView) -> Finding:
    near = (
        "; ".join(f"{a.what} {a.distance:.2f} ATR from {a.ratio:g}" for a in one.aligned) or "no swing holds the entry"
    )
    return Finding(
        name=one.name,
        at_ns=context.now_ns,
        text=f"profit {one.pnl:+,.2f} ({one.pnl_share:+.2%}); {near}",
        numbers=(
            number("notional", one.notional, QUOTE),
            number("entry", one.entry, QUOTE),
            number("mark", one.mark, QUOTE),
            number("Fibonacci alignment", one.alignment, "0 to 1"),
            number("liquidation distance", one.liquidation_distance, "fraction of the liquidation price"),
            number("level next on the losing side", one.suggested_stop, QUOTE),
            number("level next on the winning side", one.suggested_target or None, QUOTE),
            number("reward over risk of these two", one.reward_to_risk, "ratio"),
        ),
    )


def _marks(context: Context, book: AccountBook, stops: dict[tuple[str, str, int], float]) -> tuple[Mark, ...]:
    if context.market is None:
        return ()
    begin = int(context.market.ts[max(context.market.n - 40, 0)])
    made = []
    for one in book.positions:
        if one.symbol == context.symbol:
            side = "long" if one.side > 0 else "short"
            prices = [(one.entry, f"{side} entry", Tone.UP if one.side > 0 else Tone.DOWN, True)]
            prices += [(stops[one.key], "stop", Tone.STRONG, True)] if one.key in stops else []
            prices += [(one.liquidation, "liquidation", Tone.DOWN, False)] if one.liquidation else []
            made += [
                Mark(MarkKind.LEVEL, ((begin, price),), f"{word} {price:,.6g}", tone, keep=keep)
                for price, word, tone, keep in prices
            ]
    return tuple(made)


def _panels(read: Positions) -> tuple[Panel, ...]:
    if not read.views:
        return ()
    names = tuple(one.name for one in read.views)
    made = [
        Panel(
            PanelKind.BARS,
            "Notional and open profit by position",
            (
                Series("notional", (), tuple(one.notional for one in read.views)),
                Series("open profit", (), tuple(one.pnl for one in read.views), Tone.SOFT),
            ),
            names=names,
        )
    ]
    if hasattr(read.harmony, "score"):
        parts = ("side", "exposure", "steps", "series")
        values = tuple(float(getattr(read.harmony, name)) for name in parts)
        made.append(
            Panel(PanelKind.BARS, "Harmony by part (1 is golden)", (Series("harmony", (), values),), names=parts)
        )
    return tuple(made)
