"""Risk: value at risk and shortfall by three methods, recorded crashes, correlation, condition, and the open book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from omega.analytics.analyses._books import ESTIMATED, account_book, markets
from omega.analytics.analysis import Analysis, Finding, Number, Panel, PanelKind, Series, Tone, number
from omega.analytics.context import Context
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.risk import Assessment, Condition, Tail
    from omega.engine.bars import F64, Bars

_BINS: Final = 40
_POINTS: Final = 600
_TAILS: Final = "Tails are those of the recorded past: the next crash need not be among them."
_CRASHES: Final = 3


@params
class Params:
    """Which tail."""

    tail: float = param(0.05, low=0.001, high=0.2, unit="probability", doc="probability of the tail")
    horizon: int = param(1, low=1, high=100, unit="bars", doc="bars ahead of the market's own tails")
    seed: int = param(7, low=0, high=2**31 - 1, doc="seed of the filtered simulation")


@analysis("risk", title="Risk", params=Params, uses=("books",), least=121)
def risk(context: Context, p: Params) -> Analysis:
    """Measure the market's tails and condition, and the open book where there is one."""
    import numpy as np

    from omega.analytics.risk import assess, condition, tails

    bars = context.bars
    rng = np.random.default_rng(p.seed)
    returns = np.diff(bars.close) / bars.close[:-1]
    three = tails(returns, rng, tail=p.tail, horizon=p.horizon)
    state = condition(bars, context.length_ns)
    book: Assessment | None = None
    if context.books is not None and context.books.held:
        account, stops, bare = account_book(context.books)
        book = assess(account, markets(context), context.length_ns, rng, stops=stops, unstopped=bare)
    together = _together(context)
    return Analysis(
        analysis="risk",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=bars.n,
        summary=_summary(state, three, p, book),
        findings=(*_reasons(context, book), *_crashes(context), *_scenarios(context, book)),
        numbers=(*_tail_numbers(three), *_condition_numbers(state), *_book_numbers(book), *together),
        caveats=(
            _TAILS,
            *(f"{one.method}: {one.caveat}" for one in three if one.caveat),
            *(
                (ESTIMATED, *book.caveats)
                if book
                else ("No open positions were read: this is the market's risk alone.",)
            ),
        ),
        panels=(_histogram(returns, three, p), _drawdown(bars), *_stress_panel(book)),
    )


def _summary(state: Condition, three: tuple[Tail, ...], p: Params, book: Assessment | None) -> str:
    worst = max(three, key=lambda one: one.var)
    stretch = "One bar" if p.horizon == 1 else f"One stretch of {p.horizon} bars"
    told = (
        f"Volatility {state.daily_volatility:.2%} a day: caution {state.level.value}, {state.state.lower()} for this "
        f"market; {state.regime}. {stretch} in {1 / p.tail:.0f} loses more than {worst.var:.2%} "
        f"({worst.method.replace('_', '-')}, the worst of three methods)."
    )
    return f"{told} The open book: {book.level.value}." if book else told


def _tail_numbers(three: tuple[Tail, ...]) -> tuple[Number, ...]:
    return tuple(
        one
        for tail in three
        for one in (
            number(f"value at risk, {tail.method}", tail.var, "fraction of the value held"),
            number(f"expected shortfall, {tail.method}", tail.shortfall, "fraction of the value held"),
        )
    )


def _condition_numbers(state: Condition) -> tuple[Number, ...]:
    return (
        number("volatility a day", state.daily_volatility, "fraction"),
        number("volatility a year", state.annual_volatility, "fraction"),
        number("share of past volatilities below it", state.quantile, "fraction"),
        number("trend strength", state.strength, "-1 to 1"),
        number("below the highest close of these bars", state.drawdown, "fraction"),
        number("Hurst exponent", state.hurst, ""),
        *(number(f"hidden state {name}", probability, "probability") for name, probability in state.states),
    )


def _book_numbers(book: Assessment | None) -> tuple[Number, ...]:
    if book is None:
        return ()
    return (
        number("equity", book.equity, "quote currency"),
        number("gross exposure", book.gross, "quote currency"),
        number("net exposure", book.net, "quote currency"),
        number("leverage", book.leverage, "x of equity"),
        number(f"largest coin, {book.largest_coin}", book.concentration, "fraction of equity"),
        number("margin", book.margin, "fraction of equity"),
        number("correlated notional", book.correlated, "quote currency"),
        *(number(f"book: value at risk a day, {one.method}", one.var, "fraction of equity") for one in book.tails),
        *(number(f"book: shortfall a day, {one.method}", one.shortfall, "fraction of equity") for one in book.tails),
        *(number(f"{one.name}: liquidation distance", one.liquidation_distance, "fraction") for one in book.positions),
    )


def _together(context: Context) -> tuple[Number, ...]:
    from omega.analytics.risk import correlate
    from omega.errors import ConfigError

    if not context.peers:
        return ()
    try:
        made = correlate({context.symbol: context.bars, **context.peers})
    except ConfigError:  # too few bars in common, or a market that stands still: nothing to correlate
        return ()
    return tuple(
        number(f"correlation with {peer}", made.of(context.symbol, peer), f"shrunk by {made.shrinkage:.2f}, n {made.n}")
        for peer in context.peers
    )


def _reasons(context: Context, book: Assessment | None) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            name=f"{one.level.value}: {one.measure}",
            at_ns=context.now_ns,
            text=f"{one.subject + ': ' if one.subject else ''}{one.value:.3g} has reached {one.bound:.3g}",
        )
        for one in (book.reasons if book else ())
    )


def _crashes(context: Context) -> tuple[Finding, ...]:
    from omega.analytics.risk import find_crashes

    bars = context.bars
    hours = max(24.0, 2 * context.length_ns / 3_600e9)
    return tuple(
        Finding(
            name="crash in these bars",
            at_ns=int(bars.ts[one.last]),
            text=f"{one.move:.2%} within {hours:g} hours",
            direction="short",
            numbers=(number("move", one.move, "fraction"),),
        )
        for one in find_crashes(bars, context.length_ns, hours=hours, count=_CRASHES)
    )


def _scenarios(context: Context, book: Assessment | None) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            name=one.scenario,
            at_ns=context.now_ns,
            text=f"the open book would make {one.pnl:+,.2f}"
            + (f"; liquidated: {', '.join(one.liquidated)}" if one.liquidated else ""),
            numbers=(
                number("profit", one.pnl, "quote currency"),
                number("equity after it", one.equity_after, "quote currency"),
                number("loss", one.loss, "fraction of equity"),
            ),
        )
        for one in (book.stressed if book else ())
    )


def _histogram(returns: F64, three: tuple[Tail, ...], p: Params) -> Panel:
    import numpy as np

    low, high = np.quantile(returns, (0.001, 0.999))
    counts, edges = np.histogram(100.0 * returns, bins=_BINS, range=(100.0 * low, 100.0 * high))
    rules: tuple[tuple[float, str], ...] = ()
    if p.horizon == 1:  # over several bars the tails are not those of the histogram
        named = sorted(three, key=lambda one: -one.var)
        rules = tuple((-100.0 * one.var, f"{one.method.replace('_', '-')} {one.var:.2%}") for one in named)
    return Panel(
        PanelKind.HISTOGRAM,
        f"Returns a bar (%), and the value at risk at {p.tail:.1%}",
        (Series("returns", tuple(edges.tolist()), tuple(counts.astype(float).tolist())),),
        rules=rules,
    )


def _drawdown(bars: Bars) -> Panel:
    import numpy as np

    peak = np.maximum.accumulate(bars.close)
    down = 100.0 * (bars.close / peak - 1.0)
    rows = np.unique(np.linspace(0, bars.n - 1, min(bars.n, _POINTS)).astype(np.int64))
    x = tuple(float(at) for at in bars.ts[rows])
    return Panel(
        PanelKind.CURVE, "Below the highest close (%)", (Series("drawdown", x, tuple(down[rows].tolist()), Tone.DOWN),)
    )


def _stress_panel(book: Assessment | None) -> tuple[Panel, ...]:
    if book is None or not book.stressed:
        return ()
    worst: list[Any] = list(book.stressed[:6])
    return (
        Panel(
            PanelKind.BARS,
            "The open book in recorded crashes (profit, quote currency)",
            (Series("profit", (), tuple(one.pnl for one in worst), Tone.DOWN),),
            names=tuple(one.scenario.rpartition(" ")[2][:7] for one in worst),
        ),
    )
