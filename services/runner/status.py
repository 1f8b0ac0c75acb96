"""What a runner tells of its bot: the status message and the gauges. Called by the runner's service."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from omega.bus import BotStatus, MindStatus
from omega.domain import Decision, iso, timeframe_ns
from omega.telemetry import Metrics
from services.runner.bot import Bot
from services.runner.state import Order


def bot_status(bot: Bot, last: Decision | None, counts: Mapping[str, int]) -> BotStatus:
    """Return the status of a bot after its last decision."""
    seat, state, book = bot.seat, bot.state, bot.state.portfolio.position
    mark, mind = _mark(bot, last), mind_status(bot)
    return BotStatus(
        bot=seat.bot,
        strategy=bot.strategy.name,
        mode=bot.charter.mode,
        venue=seat.venue,
        account=seat.account,
        symbol=seat.symbol,
        timeframe=bot.charter.timeframe,
        state=state.order.value,
        read_only=bot.strategy.read_only,
        bar_ts_ns=bot.window.last_ts_ns,
        price=last.price if last else 0.0,
        position=book.size,
        entry=book.entry,
        realised=book.realised,
        unrealised=book.unrealised(mark),
        fees=book.fees,
        equity=state.portfolio.equity,
        decisions=counts["decisions"],
        intents=counts["intents"],
        orders=len(state.orders),
        fills=state.fills,
        last_action=iso(last.bar_ts_ns) if last else "",
        reason=last.reason if last else "",
        emotion=mind.emotion if mind else "",
        mind=mind,
    )


def mind_status(bot: Bot) -> MindStatus | None:
    """Return the trader's state of mind, None where psychology is off."""
    stage = bot.stage
    if stage is None:
        return None
    return MindStatus(
        profile=bot.charter.psychology,
        regime=bot.regime.name.lower() if bot.charter.adapts else "",
        sizes=stage.size_factor,
        live=stage.live,
        **stage.state(),
    )


def set_gauges(metrics: Metrics, bot: Bot, last: Decision | None) -> None:
    """Bring the bot's gauges up to date."""
    name, symbol, portfolio = bot.seat.bot, bot.seat.symbol, bot.state.portfolio
    book = portfolio.position
    metrics.gauge("bot_equity").labels(bot=name).set(float(portfolio.equity))
    metrics.gauge("position_size").labels(bot=name, symbol=symbol).set(float(book.size))
    metrics.gauge("bot_fees").labels(bot=name).set(float(book.fees))
    metrics.gauge("bot_funding").labels(bot=name).set(float(book.funding))
    metrics.gauge("bot_exposure").labels(bot=name).set(float(abs(book.size) * _mark(bot, last)))
    if book.trades:
        metrics.gauge("bot_win_rate").labels(bot=name).set(book.wins / book.trades)
    metrics.gauge("bot_bar_seconds").labels(bot=name).set(timeframe_ns(bot.charter.timeframe) / 1e9)
    metrics.gauge("bot_drawdown").labels(bot=name).set(portfolio.drawdown)
    metrics.gauge("bot_paused").labels(bot=name).set(bot.state.order is not Order.TRADE)
    _set_mind(metrics, bot)
    metrics.gauge("bot_pnl").labels(bot=name).set(float(book.net + book.unrealised(_mark(bot, last))))


def _set_mind(metrics: Metrics, bot: Bot) -> None:
    """Show the state of mind; once psychology is switched off none of it is shown."""
    emotion, mind, size = (metrics.gauge(name) for name in ("bot_emotion", "bot_mind", "bot_mind_size"))
    for gauge in (emotion, mind, size):
        gauge.clear()  # a process has one bot, and the emotion of before is over
    status = mind_status(bot)
    if status is None:
        return
    emotion.labels(bot=bot.seat.bot, emotion=status.emotion).set(1)
    for name in ("confidence", "risk", "stress"):
        mind.labels(bot=bot.seat.bot, metric=name).set(getattr(status, name))
    size.labels(bot=bot.seat.bot).set(status.sizes)


def _mark(bot: Bot, last: Decision | None) -> Decimal:
    price = last.price if last else 0.0
    return Decimal(repr(price)) if price else bot.state.portfolio.position.entry
