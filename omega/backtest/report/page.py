"""The report as one HTML file that needs nothing else: no network, no script from elsewhere, light and dark.

`write_html` is called by `omega backtest`; `document` gives other reports the same frame and look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, Final

from omega.backtest.metrics import effect, holding, metrics
from omega.backtest.report.axes import instant
from omega.backtest.report.cautions import cautions
from omega.backtest.report.curves import days_chart, equity_chart, readings, underwater_chart
from omega.backtest.report.markets import by_market, close_ups, price_chart
from omega.backtest.report.spread import excursions, histogram
from omega.backtest.report.story import headline, story
from omega.backtest.report.tables import figures_tables, months_table, settings_table, trades_table
from omega.backtest.report.words import timeframe
from omega.backtest.types import Market, Result
from omega.errors import ConfigError, EnvironmentFault

MOST_MARKETS: Final = 6
"""Markets of a portfolio that get a price chart of their own."""

_FEW_DAYS: Final = 120.0


def write_html(
    path: Path,
    result: Result,
    markets: Sequence[Market],
    *,
    command: str = "",
    whole_list: str = "",
    doubts: Sequence[str] | None = None,
) -> None:
    """Write the report of a result.

    Args:
        path: the file, overwritten when it exists.
        result: what `backtest` returned.
        markets: what it was given, for the prices and for holding.
        command: how to run it again, shown when given.
        whole_list: where the whole list of trades was written, if anywhere.
        doubts: what weakens the result, plain text; what `cautions` finds when absent.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    text = page(result, markets, command=command, whole_list=whole_list, doubts=doubts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"cannot write the report to {path}: {error.strerror}; name another file") from None


def page(
    result: Result,
    markets: Sequence[Market],
    *,
    command: str = "",
    whole_list: str = "",
    doubts: Sequence[str] | None = None,
) -> str:
    """Return the report of a result as one HTML document; see `write_html`.

    Raises:
        ConfigError: the result has no bar.
    """
    if not len(result.ts):
        raise ConfigError("there is nothing to report: the result has no bar; give it a longer history")
    hold = holding(markets, result)
    figures = metrics(result, hold)
    found = cautions(result, figures) if doubts is None else doubts
    title = f"{result.strategy} on {', '.join(result.symbols)}"
    lead = _lead(story(result, figures)) + _tiles(headline(figures)) + _warnings(found)
    body = [
        _section("", equity_chart(result, hold) + underwater_chart(result)),
        _section("Price and trades", _prices(result, markets)),
        _section("Months", months_table(result) + (days_chart(result) if figures["days"] <= _FEW_DAYS else "")),
        _section("Trades", _trades(result, whole_list)) if result.trades.n else "",
        f'<h2>Every figure</h2><div class="cards">{figures_tables(figures)}</div>',
        _section("To run it again", (_command(command) if command else "") + settings_table(result)),
    ]
    return document(title, _subtitle(result), lead, "".join(body), curves=readings(result, hold))


def document(title: str, subtitle: str, lead: str, body: str, *, curves: Mapping[str, Any] | None = None) -> str:
    """Return a whole page in the farm's look.

    Args:
        title: plain text.
        subtitle: plain text under it.
        lead: HTML above the fold.
        body: HTML of the sections.
        curves: what the pointer reads off charts that carry a key: `time` in seconds, and a column a key.
    """
    style, script = _asset("page.css"), _asset("page.js")
    data = json.dumps(curves or {}, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><header><div>"
        f'<h1>{escape(title)}</h1><p class="sub">{escape(subtitle)}</p></div>'
        '<button id="theme" type="button" aria-label="light or dark">\u25d0</button></header>'
        f"<main>{lead}{body}</main><footer>All times UTC. A past result promises nothing.</footer>"
        f'<script type="application/json" id="curves">{data}</script><script>{script}</script></body></html>\n'
    )


def _asset(name: str) -> str:
    return resources.files("omega.backtest.report").joinpath(name).read_text(encoding="utf-8").strip()


def _section(title: str, inner: str) -> str:
    head = f"<h2>{escape(title)}</h2>" if title else ""
    return f'{head}<section class="card">{inner}</section>'


def _subtitle(result: Result) -> str:
    return (
        f"{timeframe(result.timeframe_ns)} bars · {instant(int(result.ts[0]))} to {instant(int(result.ts[-1]))} UTC · "
        f"{result.bars:,} bars · capital {result.capital:,.0f}"
    )


def _lead(sentences: Sequence[str]) -> str:
    first, *others = [escape(sentence) for sentence in sentences]
    return f'<p class="lead"><b>{first}</b> {" ".join(others)}</p>'


def _tiles(tiles: Sequence[tuple[str, str, str, str]]) -> str:
    made = [
        f'<div class="tile"><span>{escape(label)}</span><b class="{tone}">{escape(value)}</b>'
        f"<small>{escape(small)}</small></div>"
        for label, value, small, tone in tiles
    ]
    return f'<div class="tiles">{"".join(made)}</div>'


def _warnings(found: Sequence[str]) -> str:
    if not found:
        return ""
    points = "".join(f"<li>{escape(text)}</li>" for text in found)
    return f"<aside><h2>Before you believe it</h2><ul>{points}</ul></aside>"


def _prices(result: Result, markets: Sequence[Market]) -> str:
    parts, weight = [], effect(result)
    for number, market in enumerate(markets[:MOST_MARKETS]):
        picked = by_market(result.trades, number)
        parts.append(price_chart(market, result.trades, picked, weight))
        parts.append(_tabs(f"v{number}", close_ups(market, result.trades, picked, weight)))
    if len(markets) > MOST_MARKETS:
        parts.append(f'<p class="note">The first {MOST_MARKETS} of {len(markets)} markets.</p>')
    return "".join(parts)


def _tabs(group: str, charts: Sequence[tuple[str, str]]) -> str:
    """Show one chart at a time, chosen by plain radio buttons: it works without a script."""
    made = []
    for number, (name, chart) in enumerate(charts):
        checked = " checked" if number == 0 else ""
        made.append(
            f'<input type="radio" name="{group}" id="{group}{number}"{checked}>'
            f'<label for="{group}{number}">{escape(name)}</label><div class="pane">{chart}</div>'
        )
    return f'<div class="tabs">{"".join(made)}</div>' if made else ""


def _trades(result: Result, whole_list: str) -> str:
    pair = f'<div class="pair">{histogram(result.trades)}{excursions(result.trades, effect(result))}</div>'
    return pair + trades_table(result, whole_list)


def _command(command: str) -> str:
    return f"<pre><code>{escape(command)}</code></pre>"
