"""What a bot is told to be: strategy, parameters, seat and limits, read from the settings. Made by the runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from omega import plugins
from omega.backtest.presets import OFF, Preset, load_preset, load_trader
from omega.config import Bot, Cosmic, Settings
from omega.domain import AccountName, BotName, Instrument, Mode, Symbol, VenueName, timeframe_ns
from omega.engine import Settings as Rules
from omega.engine.adaptation import Adaptation, traits_by_regime
from omega.engine.conditions import BY_TIME
from omega.engine.cosmic import Application, factor_ramps, factor_weights
from omega.engine.decision import Interceptor, identity
from omega.engine.profile import Mind, Profile, Traits
from omega.engine.regime import REGIME_BARS
from omega.engine.stages import CosmicStage, PsychologyStage
from omega.errors import ConfigError
from omega.telemetry import get_logger
from services.runner.intents import Seat
from services.runner.sky import HourlySky

LOG = get_logger("services.runner")


@dataclass(frozen=True, slots=True)
class Charter:
    """Everything of the settings that a decision depends on.

    What tempers decisions is here by its values, not by its name alone: a session replays whatever the files say today.

    Units: capital and max_notional in quote currency; window in bars; risk a fraction of the equity; max_leverage a
        multiple; factors are the cosmic ones whose readings the bot looks at.
    """

    bot: str
    strategy: str
    params: Mapping[str, Any]
    mode: Mode
    venue: str
    account: str
    symbol: str
    timeframe: str
    capital: Decimal
    window: int
    risk: float
    max_leverage: int
    max_notional: float
    factors: tuple[str, ...] = ()
    psychology: str = ""
    profile: Profile | None = None
    adapts: tuple[Adaptation, ...] = ()
    cosmic: str = ""
    preset: Preset | None = None

    @classmethod
    def of(cls, settings: Settings) -> Charter:
        """Read the charter of `settings.runner.bot`.

        Raises:
            ConfigError: no such bot is configured, or there is no such profile or preset, or it may not run live.
        """
        bot, trading = settings.runner.bot, settings.trading
        if bot not in settings.bots:
            known = ", ".join(sorted(settings.bots)) or "none"
            raise ConfigError(
                f"runner.bot is {bot!r}, which is no configured bot (known: {known}); set OMEGA_RUNNER__BOT"
            )
        plan = settings.bots[bot]
        mode = plan.mode or trading.mode
        profile, adapts = _trader(bot, plan, mode, settings)
        preset = _preset(plan, mode, settings)
        return cls(
            bot=bot,
            strategy=plan.strategy,
            params=dict(plan.params),
            mode=mode,
            venue=trading.venue,
            account=trading.account,
            symbol=plan.symbol,
            timeframe=plan.timeframe or trading.timeframe,
            capital=plan.capital or trading.capital,
            window=settings.runner.window,
            risk=settings.runner.risk_pct / 100,
            max_leverage=trading.max_leverage,
            max_notional=float(trading.max_order_notional),
            factors=() if preset is None else tuple([name for name, _ in preset.weights if name not in BY_TIME]),
            psychology="" if profile is None else plan.psychology,
            profile=profile,
            adapts=adapts,
            cosmic=plan.cosmic,
            preset=preset,
        )

    @property
    def seat(self) -> Seat:
        """Where the bot sits."""
        return Seat(BotName(self.bot), VenueName(self.venue), AccountName(self.account), Symbol(self.symbol))

    @property
    def clamped(self) -> bool:
        """Whether what tempers decisions may only shrink risk: in live mode, and where the preset says so."""
        return self.mode is Mode.LIVE or (self.preset is not None and self.preset.application.live)

    @property
    def traits(self) -> tuple[Traits, ...]:
        """The trader's traits under every regime, by its number; empty where psychology is off."""
        return () if self.profile is None else traits_by_regime(self.profile, self.adapts)

    def rules(self, instrument: Instrument | None, mind: Mind) -> Rules:
        """Return the rules around the strategy for a state of mind; rates of the instrument once it is known."""
        rules = Rules(
            risk=self.risk,
            max_leverage=self.max_leverage,
            max_notional=self.max_notional,
            live=self.mode is Mode.LIVE,
            psychology=self._psychology(mind),
            cosmic=self._cosmic(),
        )
        if instrument is None:
            return rules
        return replace(rules, maintenance=float(instrument.maintenance), taker=float(instrument.taker_fee))

    def _psychology(self, mind: Mind) -> Interceptor:
        return identity if self.profile is None else PsychologyStage(self.profile.traits(), mind, self.clamped)

    def _cosmic(self) -> Interceptor:
        if self.preset is None:
            return identity
        application = replace(self.preset.application, live=self.clamped)
        place = (self.preset.latitude, self.preset.longitude)
        weights, ramps = dict(self.preset.weights), dict(self.preset.ramps)
        return HourlySky(CosmicStage(weights, application, timeframe_ns(self.timeframe), *place, ramps))


def _trader(bot: str, plan: Bot, mode: Mode, settings: Settings) -> tuple[Profile | None, tuple[Adaptation, ...]]:
    profile, adapts = load_trader(plan.psychology or OFF)
    if profile is not None and profile.simulation_only and mode is Mode.LIVE:
        raise ConfigError(
            f"bots.{bot}.psychology: {plan.psychology!r} is for simulation alone; choose another one in live mode"
        )
    if adapts and settings.runner.window < REGIME_BARS:
        raise ConfigError(
            f"bots.{bot}.psychology: {plan.psychology!r} follows the regime of {REGIME_BARS} bars; "
            f"raise runner.window above {settings.runner.window}"
        )
    return profile, adapts


def _preset(plan: Bot, mode: Mode, settings: Settings) -> Preset | None:
    """Return the preset of a bot; one that names none goes by the farm's own factors and their master switch.

    A factor whose file is not there counts as disabled.
    """
    live = mode is Mode.LIVE
    known = settings.cosmic.factors
    preset = load_preset(plan.cosmic, live=live, known=known) if plan.cosmic else _of_farm(settings.cosmic, live=live)
    if preset is None:
        return None
    plugins.factors.discover()
    gone = [name for name, _ in preset.weights if name not in plugins.factors]
    if gone:
        LOG.warning("factors.unregistered", factors=gone, preset=plan.cosmic or "cosmic.yaml")
    return preset.without(gone)


def _of_farm(cosmic: Cosmic, *, live: bool) -> Preset | None:
    config = {"enabled": cosmic.enabled, **{name: one.model_dump() for name, one in cosmic.factors.items()}}
    weights = factor_weights(config)
    if not weights:
        return None
    ramps = tuple(sorted((name, ramp) for name, ramp in factor_ramps(config).items() if name in weights))
    application = Application.of({**cosmic.application.model_dump(), "live": live})
    place = cosmic.place
    return Preset(tuple(sorted(weights.items())), application, place.latitude, place.longitude, ramps)
