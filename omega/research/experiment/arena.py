"""The real thing behind a cell: markets, influences and back-tests. Made once in every worker process.

A placebo moves the factor by one random shift on all assets of a fold and by another in every fold: shared phases keep
what assets have in common, fresh ones keep a nearly periodic factor from resembling itself.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from omega.backtest.feeds import KINDS, Feed, read_feed
from omega.backtest.influences import CosmicSeries, Influences, load_influences
from omega.backtest.run import backtest
from omega.backtest.types import Costs, Market, Result
from omega.engine.bars import F64, I64
from omega.errors import ConfigError
from omega.params import parse_params
from omega.plugins import StrategyEntry
from omega.research.experiment.cells import Cell, Outcome
from omega.research.experiment.folds import DAY_NS, Fold, daily_returns, folds_of, rows_of
from omega.research.experiment.plan import OFF, Arm, Plan, digest
from omega.research.experiment.reading import bot_of, rules_of
from omega.research.statistics.measures import measure
from omega.research.statistics.placebo import random_shifts
from omega.storage.lake import read_market


class Arena:
    """Markets and folds of a plan, and the evaluation of its cells.

    Attributes:
        markets: by symbol, with the bars of the plan's span.
        folds: the walk-forward folds.
        without_history: factors that an arm asks for and whose past nobody knows, by arm.
    """

    def __init__(self, plan: Plan, data: Path) -> None:
        self.plan = plan
        self.data = data
        self.strategy, self._params = bot_of(plan)
        self._rules = rules_of(plan)
        self._costs = Costs(plan.trading.taker, plan.trading.maker, plan.trading.slippage)
        self.markets = {symbol: self._read(symbol) for symbol in plan.data.symbols}
        self._span = _span(self.markets.values())
        self.folds = folds_of(plan.folds, int(self._span[0]), int(self._span[1]) + self.timeframe_ns)
        self.feeds, self.missing_feeds = _feeds(plan.data.feeds, data)
        self._influences: dict[str, Influences | None] = {}
        self._said: tuple[object, StrategyEntry] | None = None
        self._tuned: dict[tuple[str, int], tuple[dict[str, Any], tuple[tuple[Mapping[str, Any], float], ...]]] = {}

    @property
    def timeframe_ns(self) -> int:
        """The length of a bar."""
        return next(iter(self.markets.values())).timeframe_ns

    @property
    def data_hash(self) -> str:
        """One hash over the bars of all markets and the recorded factors."""
        feeds = [
            (feed.factor, hashlib.sha256(feed.ts.tobytes() + feed.value.tobytes()).hexdigest()) for feed in self.feeds
        ]
        return digest([sorted((symbol, market.data_hash) for symbol, market in self.markets.items()), feeds])

    @property
    def without_history(self) -> dict[str, tuple[str, ...]]:
        """Factors of an arm whose past nobody knows; they count as neutral."""
        found = {name: self._influence(name) for name in self.plan.arms}
        return {name: made.without_history for name, made in found.items() if made is not None and made.without_history}

    def present(self) -> list[tuple[str, Fold]]:
        """Return every asset and fold in which it could be traded from the first day on.

        Raises:
            ConfigError: an asset is there in no fold.
        """
        need = self._warmup()
        found = [
            (symbol, fold)
            for fold in self.folds
            for symbol, market in self.markets.items()
            if rows_of(market, fold.train_ns if self.plan.folds.tune else fold.test_ns, fold.end_ns, need)[1]
        ]
        for symbol in self.markets:
            if not any(name == symbol for name, _ in found):
                raise ConfigError(
                    f"data: {symbol} has not the {need} bars of warm-up and a whole test window in any fold; take it "
                    "out, or choose another span"
                )
        return found

    def __call__(self, cell: Cell) -> Outcome:
        """Run an arm and all its placebos on one asset in one fold."""
        fold, market, arm = self.folds[cell.fold], self.markets[cell.symbol], self.plan.arms[cell.arm]
        tuned, tries = self._tune(cell.symbol, fold)
        values = {**self._params, **tuned, **arm.params}
        params: object = parse_params(self.strategy.params, values)
        made = self._influence(cell.arm)
        result, own = self._run(market, params, fold.test_ns, fold.end_ns, made)
        rows = [own]
        if arm.has_placebos and made is not None and made.cosmic is not None:
            for placebo in made.cosmic.placebos(self._shifts(cell, made.cosmic).tolist()):
                moved = replace(made, cosmic=placebo)
                rows.append(self._run(market, params, fold.test_ns, fold.end_ns, moved)[1])
        elif arm.has_placebos:
            # No factor of the arm acts, so its placebos are the arm itself.
            rows += [own] * self.plan.placebos
        trips = len(np.unique(result.trades.position)) if result.trades.n else 0
        return Outcome(np.array(rows), trips, values, tries)

    def _run(
        self, market: Market, params: object, from_ns: int, to_ns: int, influences: Influences | None
    ) -> tuple[Result, F64]:
        warmup = self.strategy.warmup(params)
        first, end = rows_of(market, from_ns, to_ns, warmup)
        if not end:
            raise ConfigError(
                f"{market.symbol}: {warmup} bars of warm-up are not there before a window; lower the slow parameters "
                "or begin later"
            )
        part = replace(market, bars=market.bars.prefix(end).since(first))
        capital = self.plan.trading.capital
        result = backtest(
            self._having_said(part, params),
            params,
            part,
            capital=capital,
            rules=self._rules,
            costs=self._costs,
            influences=influences,
        )
        days = (to_ns - from_ns) // DAY_NS
        return result, daily_returns(result.ts, result.equity, from_ns, days, market.timeframe_ns, capital)

    def _having_said(self, part: Market, params: object) -> StrategyEntry:
        """Return the strategy with its signals made: an arm, its placebos and other arms trade on the same ones."""
        key = (part.symbol, int(part.bars.ts[0]), part.bars.n, params)
        if self._said is None or self._said[0] != key:
            made = self.strategy.signals(part.bars, params)
            self._said = key, replace(self.strategy, signals=lambda _bars, _params: made)
        return self._said[1]

    def _tune(self, symbol: str, fold: Fold) -> tuple[dict[str, Any], tuple[tuple[Mapping[str, Any], float], ...]]:
        """Choose the parameters that did best on the training window, without any influence."""
        grid = self.plan.folds.tune
        if not grid:
            return {}, ()
        key = (symbol, fold.number)
        if key not in self._tuned:
            target, sharpe = measure(self.plan.metric), measure("sharpe")
            tries: list[tuple[Mapping[str, Any], float]] = []
            best: tuple[float, dict[str, Any]] = (-np.inf, {})
            for chosen in product(*grid.values()):
                values = dict(zip(grid, chosen, strict=True))
                params: object = parse_params(self.strategy.params, {**self._params, **values})
                _, days = self._run(self.markets[symbol], params, fold.train_ns, fold.test_ns, None)
                score = self.plan.direction.sign * float(target.of(days))
                tries.append(({**self._params, **values}, float(sharpe.of(days))))
                if score > best[0]:
                    best = (score, values)
            self._tuned[key] = (best[1], tuple(tries))
        return self._tuned[key]

    def _influence(self, name: str) -> Influences | None:
        if name not in self._influences:
            arm = self.plan.arms[name]
            self._influences[name] = self._load(arm) if arm.psychology != OFF or arm.cosmic != OFF else None
        return self._influences[name]

    def _load(self, arm: Arm) -> Influences:
        seed = self.plan.seed if arm.psychology != OFF else None
        with preset_file(arm) as preset:
            return load_influences(
                arm.psychology, preset, self._span, timeframe_ns=self.timeframe_ns, seed=seed, feeds=self.feeds
            )

    def _warmup(self) -> int:
        """Return the longest warm-up that any arm needs with any tuned value."""
        tuned = [
            dict(zip(self.plan.folds.tune, values, strict=True)) for values in product(*self.plan.folds.tune.values())
        ]
        needs = [
            self.strategy.warmup(parse_params(self.strategy.params, {**self._params, **values, **arm.params}))
            for values in tuned
            for arm in self.plan.arms.values()
        ]
        return max(needs)

    def _read(self, symbol: str) -> Market:
        data = self.plan.data
        funding = _beside(self.data, data.funding) if data.funding else None
        try:
            return read_market(self.data, symbol, data.timeframe, data.from_ or None, data.to or None, funding=funding)
        except ConfigError as error:
            raise ConfigError(
                f"data: {error}; name the folder or lake that holds {', '.join(data.symbols)} in {data.timeframe} with "
                "--data"
            ) from error

    def _shifts(self, cell: Cell, series: CosmicSeries) -> I64:
        rng = np.random.default_rng([self.plan.seed, list(self.plan.arms).index(cell.arm), cell.fold])
        return random_shifts(len(series.risk), self.plan.placebos, rng)


@contextmanager
def preset_file(arm: Arm) -> Iterator[str]:
    """Give the arm's cosmic preset by name; factors with weights of its own become a preset file for the moment."""
    if isinstance(arm.cosmic, str):
        yield arm.cosmic
        return
    import yaml

    factors = {name: {"enabled": weight > 0.0, "weight": weight} for name, weight in arm.cosmic.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arm.yaml"
        path.write_text(yaml.safe_dump({"cosmic_factors": {"enabled": True, **factors}}), encoding="utf-8")
        yield str(path)


def _span(markets: Iterable[Market]) -> I64:
    """Return the first and the last open time over all markets."""
    listed = list(markets)
    return np.array([min(m.bars.ts[0] for m in listed), max(m.bars.ts[-1] for m in listed)], dtype=np.int64)


def _feeds(names: Iterable[str], data: Path) -> tuple[tuple[Feed, ...], tuple[str, ...]]:
    """Read the recorded factors that are there, and name the files that are not."""
    found, missing = [], []
    for name in names:
        path = _beside(data, name)
        if path.name not in KINDS:
            raise ConfigError(f"data.feeds: {name} is none of the known recordings {', '.join(KINDS)}; take it out")
        if path.is_file():
            found.append(read_feed(path))
        else:
            missing.append(name)
    return tuple(found), tuple(missing)


def _beside(data: Path, name: str) -> Path:
    """Resolve a path of the plan: relative ones start at the data folder."""
    return Path(name) if Path(name).is_absolute() else (data if data.is_dir() else data.parent) / name
