"""Market integrity: orders that were never meant to trade, trades with oneself, and prices pushed up to be sold into.

Called by the analytics service on recorded order books, trades and bars. Each finding is a likeness, not a verdict:
market makers also withdraw quickly. What a detector finds in an ordinary market is its rate of false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from omega.analytics.orderbook import BID, Changes, Print, Rebuilt
from omega.engine.bars import F64, I8, I64, Bars, Flags
from omega.errors import ConfigError
from omega.research.statistics import Direction, rank_p

_SECOND_NS: Final = 1_000_000_000
_HOUR_NS: Final = 3_600 * _SECOND_NS
_SHUFFLES: Final = 99
_ALIKE: Final = 0.1


@dataclass(frozen=True, slots=True)
class SpoofRules:
    """When an order counts as spoofing.

    Units: size in depths, of which one is the median sum of the best levels of a side as the record samples them; near
        a fraction of the price behind the best; life in ns; executed the most of it that traded, a fraction; moved in
        ns: an order of about the same size that shows up at, or vanishes from, another price of that side within that
        time is one that was moved, as market makers do all day.
    """

    size: float = 3.0
    near: float = 0.001
    life_ns: int = 3 * _SECOND_NS
    executed: float = 0.1
    moved_ns: int = _SECOND_NS // 5


@dataclass(frozen=True, slots=True)
class LayerRules:
    """When orders count as layering: as spoofing each, smaller, on several prices of a side together.

    Units: together in ns between their coming, and between their going; levels the least number of prices.
    """

    each: SpoofRules = field(default_factory=lambda: SpoofRules(size=0.3, near=0.002))
    together_ns: int = _SECOND_NS // 4
    levels: int = 4


@dataclass(frozen=True, slots=True)
class WashRules:
    """When trades count as wash: the same size, bought and sold at one price, again and again.

    Units: apart in ns between the two, price a fraction between them, rare the largest share of all trades that may
        have that very size, pairs the least number of pairs within window.
    """

    apart_ns: int = _SECOND_NS
    price: float = 1e-5
    rare: float = 0.005
    pairs: int = 3
    window_ns: int = 60 * _SECOND_NS


@dataclass(frozen=True, slots=True)
class PumpRules:
    """When a rise counts as a pump.

    Units: window in bars; move in standard deviations of so long a window; volume in medians of the base; base in bars;
        dump the share of the rise that must be lost within `after` bars for the dump to be seen.
    """

    window: int = 15
    move: float = 6.0
    volume: float = 8.0
    base: int = 1_440
    dump: float = 0.5
    after: int = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One likeness.

    Units: times in ns UTC; price in quote currency; size in base units; score in [0, 1], how far beyond its thresholds.

    Attributes:
        kind: spoofing, layering, wash or pump.
        from_ns: when it began.
        to_ns: when it was over, and so known.
        side: "bid", "ask", or "" where it has none.
        text: the words.
    """

    kind: str
    from_ns: int
    to_ns: int
    side: str
    price: float
    size: float
    score: float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Fleeting:
    """Orders that came, hardly traded, and went. Shapes: all (m,), by the time they came.

    Units: ns UTC; side BID or ASK; price in quote currency; size in base units; executed a fraction of the size.
    """

    came: I64
    went: I64
    side: I8
    price: F64
    size: F64
    executed: F64


@dataclass(frozen=True, slots=True)
class Wash:
    """Trades with oneself, as far as prints tell.

    Units: share and expected of the traded volume that lies in matching pairs, found and by chance; p_value of so large
        a share when sizes are dealt out anew among the trades.
    """

    share: float
    expected: float
    p_value: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Integrity:
    """What was found in a stretch of one market.

    Attributes:
        findings: by time.
        hours: length of the stretch.
        wash: None without trades.
    """

    findings: tuple[Finding, ...]
    hours: float
    wash: Wash | None

    def rate(self, kind: str) -> float:
        """Return findings of a kind an hour."""
        return sum(f.kind == kind for f in self.findings) / self.hours if self.hours > 0.0 else 0.0


def integrity(
    record: Rebuilt,
    *,
    spoof: SpoofRules | None = None,
    layer: LayerRules | None = None,
    wash_rules: WashRules | None = None,
    seed: int = 0,
) -> Integrity:
    """Look for spoofing, layering and wash trades in a recorded stretch of an order book and its trades."""
    found = [*spoofing(record, spoof or SpoofRules()), *layering(record, layer or LayerRules())]
    traded = wash(record.prints, wash_rules or WashRules(), np.random.default_rng(seed)) if record.prints else None
    found += traded.findings if traded else ()
    hours = float(record.ts[-1] - record.ts[0]) / _HOUR_NS if len(record.ts) else 0.0
    return Integrity(tuple(sorted(found, key=lambda f: f.from_ns)), hours, traded)


def spoofing(record: Rebuilt, rules: SpoofRules) -> tuple[Finding, ...]:
    """Find single large orders near the touch that vanish soon and hardly trade.

    Raises:
        ConfigError: a rule can never hold.
    """
    found, usual = fleeting(record, rules), usual_depth(record)
    made = []
    for k in range(len(found.came)):
        side, depths = _side(int(found.side[k])), float(found.size[k]) / usual
        life = float(found.went[k] - found.came[k]) / _SECOND_NS
        text = (
            f"{side} of {found.size[k]:g} at {found.price[k]:g}, {depths:.1f} times the usual depth, withdrawn after "
            f"{life:.2f} s with {found.executed[k]:.0%} traded"
        )
        score = (1.0 - rules.size / depths) * (1.0 - life * _SECOND_NS / rules.life_ns)
        made.append(
            Finding("spoofing", int(found.came[k]), int(found.went[k]), side, float(found.price[k]),
                    float(found.size[k]), max(score, 0.0), text)
        )  # fmt: skip
    return tuple(made)


def layering(record: Rebuilt, rules: LayerRules) -> tuple[Finding, ...]:
    """Find orders on several prices of a side that come together, hardly trade, and go together.

    Raises:
        ConfigError: a rule can never hold.
    """
    if rules.levels < 2 or rules.together_ns < 1:  # noqa: PLR2004 - one price is no layer
        raise ConfigError(f"{rules}: layers need two prices or more, and a time to come together")
    found, made = fleeting(record, rules.each), []
    for side in (BID, -BID):
        mine = np.flatnonzero(found.side == side)
        at = 0
        while at < len(mine):
            near = found.came[mine[at:]] - found.came[mine[at]] <= rules.together_ns
            group = mine[at : at + int(near.sum())]
            left = np.abs(found.went[group] - np.median(found.went[group])) <= rules.together_ns
            layers = group[left]
            if len(np.unique(found.price[layers])) >= rules.levels:
                made.append(_layered(found, layers, rules))
                at += len(group)
            else:
                at += 1
    return tuple(sorted(made, key=lambda f: f.from_ns))


def fleeting(record: Rebuilt, rules: SpoofRules) -> Fleeting:
    """Find orders that are large for the level, near the touch, gone within their life, and hardly traded.

    What came is the growth of a level in one change; it went when the level is back to what it was before and a fifth
    of the growth. Trades at that price against that side in between count as executed. An order that was moved to
    another price was not withdrawn.

    Raises:
        ConfigError: a rule can never hold.
    """
    if not (rules.size > 0.0 and rules.near > 0.0 and rules.life_ns > 0 and 0.0 <= rules.executed < 1.0):
        raise ConfigError(f"{rules} can never hold: give positive size, near and life, and less than all executed")
    changes = record.changes
    grown = changes.after - changes.before
    large = (grown >= rules.size * usual_depth(record)) & (np.abs(changes.distance) <= rules.near)
    order = np.lexsort((np.arange(len(changes.ts)), changes.price, changes.side))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    rows = []
    trades = _Trades(record.prints)
    for k in np.flatnonzero(large):
        gone = _gone(changes, order, int(place[k]), rules.life_ns)
        if gone < 0 or _moved(changes, grown, int(k), gone, rules.moved_ns):
            continue
        traded = trades.between(
            int(changes.ts[k]), int(changes.ts[gone]), float(changes.price[k]), int(changes.side[k])
        )
        share = traded / float(grown[k])
        if share <= rules.executed:
            rows.append((changes.ts[k], changes.ts[gone], changes.side[k], changes.price[k], grown[k], share))
    columns = list(zip(*sorted(rows), strict=True)) or [()] * 6
    return Fleeting(
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.int8),
        *(np.array(column, dtype=np.float64) for column in columns[3:]),
    )


def wash(prints: Sequence[Print], rules: WashRules, rng: np.random.Generator) -> Wash:
    """Find the same uncommon size bought and sold at one price within moments, and hold the volume against chance.

    Raises:
        ConfigError: a rule can never hold.
    """
    if rules.apart_ns < 1 or rules.pairs < 1 or not 0.0 < rules.rare <= 1.0:
        raise ConfigError(f"{rules} can never hold: give a time, one pair or more, and a share of trades above zero")
    ts = np.array([p.ts_ns for p in prints], dtype=np.int64)
    price, size = np.array([p.price for p in prints]), np.array([p.size for p in prints])
    way = np.array([p.aggressor for p in prints], dtype=np.int8)
    order = np.argsort(ts, kind="stable")
    ts, price, size, way = ts[order], price[order], size[order], way[order]
    volume = float(size.sum())
    first, second = _pairs(ts, price, size, way, rules)
    share = 2.0 * float(size[first].sum()) / volume
    chance = np.empty(_SHUFFLES)
    for k in range(_SHUFFLES):
        dealt = rng.permutation(size)
        chance[k] = 2.0 * float(dealt[_pairs(ts, price, dealt, way, rules)[0]].sum()) / volume
    findings = _washed(ts, price, size, first, second, rules)
    return Wash(share, float(chance.mean()), rank_p(share, chance, Direction.HIGHER), findings)


def pumps(bars: Bars, rules: PumpRules | None = None) -> tuple[Finding, ...]:
    """Find rises far beyond the market's own measure on far more than its own volume, and whether they were sold into.

    A pump is known at the bar that completes it; the text says so when the dump followed, and `to_ns` is then its time.
    A rise that goes on counts once: the next one begins a whole window after the last bar of this one.

    Raises:
        ConfigError: a rule can never hold.
    """
    rules = rules or PumpRules()
    if rules.window < 1 or rules.base <= rules.window or not rules.move > 0.0 or not 0.0 < rules.dump <= 1.0:
        raise ConfigError(f"{rules} can never hold: give a window shorter than the base, and positive thresholds")
    if bars.n <= rules.base + rules.window:
        return ()
    moves, volumes = _against_base(bars, rules)
    rows = np.flatnonzero((moves >= rules.move) & (volumes >= rules.volume))
    fresh = np.diff(rows, prepend=-rules.window - 1) > rules.window
    return tuple(_pumped(bars, int(k), float(moves[k]), float(volumes[k]), rules) for k in rows[fresh])


class _Trades:
    """Prints by price and side, so that what traded at a level in a while is looked up."""

    def __init__(self, prints: Sequence[Print]) -> None:
        self._at: dict[tuple[float, int], list[tuple[int, float]]] = {}
        for p in prints:
            self._at.setdefault((p.price, -p.aggressor), []).append((p.ts_ns, p.size))

    def between(self, from_ns: int, to_ns: int, price: float, side: int) -> float:
        return sum(size for ts, size in self._at.get((price, side), ()) if from_ns <= ts <= to_ns)


def usual_depth(record: Rebuilt) -> float:
    """Return the median sum of the sampled best levels of a side, in base units; infinite without a sample."""
    sides = [np.nansum(levels[:, :, 1], axis=1) for levels in (record.bids, record.asks)]
    sums = np.concatenate(sides)
    return float(np.median(sums)) if len(sums) else np.inf


def _moved(changes: Changes, grown: F64, came: int, gone: int, within_ns: int) -> bool:
    """Whether an order of about that size left another price when this one came, or came to one when it left."""
    for row, sign in ((came, -1.0), (gone, 1.0)):
        at = changes.ts[row]
        low, high = np.searchsorted(changes.ts, (at - within_ns, at + within_ns + 1))
        near = slice(int(low), int(high))
        alike = np.abs(sign * grown[near] / grown[came] - 1.0) < _ALIKE
        other = (changes.side[near] == changes.side[came]) & (changes.price[near] != changes.price[came])
        if (alike & other).any():
            return True
    return False


def _gone(changes: Changes, order: I64, place: int, life_ns: int) -> int:
    """Return the change that takes an order's growth away within its life, -1 when none does."""
    k = order[place]
    left = changes.before[k] + 0.2 * (changes.after[k] - changes.before[k])
    for later in order[place + 1 :]:
        same = changes.price[later] == changes.price[k] and changes.side[later] == changes.side[k]
        if not same or changes.ts[later] - changes.ts[k] > life_ns:
            return -1
        if changes.after[later] <= left:
            return int(later)
    return -1


def _layered(found: Fleeting, layers: I64, rules: LayerRules) -> Finding:
    prices, size = np.unique(found.price[layers]), float(found.size[layers].sum())
    came, went = int(found.came[layers].min()), int(found.went[layers].max())
    side = _side(int(found.side[layers[0]]))
    text = (
        f"{len(prices)} {side}s from {prices[0]:g} to {prices[-1]:g}, {size:g} together, came within "
        f"{(found.came[layers].max() - came) / _SECOND_NS:.2f} s and were withdrawn together after "
        f"{(went - came) / _SECOND_NS:.2f} s"
    )
    score = 1.0 - (rules.levels - 1) / len(prices)
    return Finding("layering", came, went, side, float(prices.mean()), size, score, text)


def _pairs(ts: I64, price: F64, size: F64, way: I8, rules: WashRules) -> tuple[I64, I64]:
    """Return the rows of neighbouring trades of one uncommon size, one bought and one sold, close in time and price.

    Each trade is in one pair at most: of a row of matches the first and second, third and fourth pair up.
    """
    order = np.lexsort((np.arange(len(ts)), size))
    _, group, counts = np.unique(size[order], return_inverse=True, return_counts=True)
    uncommon = counts[group] <= max(rules.rare * len(ts), 2.0)
    a, b = order[:-1], order[1:]
    match: Flags = (size[a] == size[b]) & uncommon[:-1] & (way[a] != way[b])
    match &= (ts[b] - ts[a] <= rules.apart_ns) & (np.abs(price[b] / price[a] - 1.0) <= rules.price)
    begins = np.flatnonzero(match & ~np.concatenate(([False], match[:-1])))
    run = np.zeros(len(match), dtype=np.int64)
    run[begins] = begins
    odd = (np.arange(len(match)) - np.maximum.accumulate(run)) % 2 == 1
    kept = match & ~odd
    return a[kept], b[kept]


def _washed(ts: I64, price: F64, size: F64, first: I64, second: I64, rules: WashRules) -> tuple[Finding, ...]:
    """Gather pairs of one size into findings: enough of them within the window."""
    made = []
    for each in np.unique(size[first]):
        rows = np.flatnonzero(size[first] == each)
        rows = rows[np.argsort(ts[first[rows]], kind="stable")]
        at = 0
        while at + rules.pairs <= len(rows):
            inside = rows[at:][ts[second[rows[at:]]] - ts[first[rows[at]]] <= rules.window_ns]
            if len(inside) < rules.pairs:
                at += 1
                continue
            from_ns, to_ns = int(ts[first[inside[0]]]), int(ts[second[inside[-1]]])
            text = (
                f"{each:g} bought and sold at one price {len(inside)} times within "
                f"{(to_ns - from_ns) / _SECOND_NS:.1f} s"
            )
            score = 1.0 - (rules.pairs - 1) / len(inside)
            total = 2.0 * float(each) * len(inside)
            made.append(Finding("wash", from_ns, to_ns, "", float(price[first[inside]].mean()), total, score, text))
            at += len(inside)
    return tuple(sorted(made, key=lambda f: f.from_ns))


def _against_base(bars: Bars, rules: PumpRules) -> tuple[F64, F64]:
    """Return the move of each window in deviations, and its volume in medians, of the base before the window.

    Shapes: (n,), zero until a whole base lies before the window.
    """
    w, base = rules.window, rules.base
    log_close = np.log(bars.close)
    squares = np.concatenate(([0.0], np.cumsum(np.diff(log_close, prepend=log_close[0]) ** 2)))
    moves, volumes = np.zeros(bars.n), np.zeros(bars.n)
    k = np.arange(base + w, bars.n)
    deviation = np.sqrt(np.maximum(squares[k - w + 1] - squares[k - w + 1 - base], 1e-18) / base * w)
    moves[k] = (log_close[k] - log_close[k - w]) / deviation
    total = np.concatenate(([0.0], np.cumsum(bars.volume)))
    summed = total[k + 1] - total[k + 1 - w]
    # Only where the move is there is the median worth its sorting.
    for row, traded in zip(k[moves[k] >= rules.move], summed[moves[k] >= rules.move], strict=True):
        usual = float(np.median(bars.volume[row - w - base + 1 : row - w + 1]))
        volumes[row] = float(traded) / w / max(usual, 1e-12)
    return moves, volumes


def _pumped(bars: Bars, k: int, move: float, volume: float, rules: PumpRules) -> Finding:
    begun = float(bars.close[k - rules.window])
    risen = float(bars.close[k]) / begun - 1.0
    text = f"rose {risen:.1%} in {rules.window} bars, {move:.1f} deviations, on {volume:.0f} times the usual volume"
    later = bars.close[k + 1 : k + 1 + rules.after]
    level = float(bars.close[k]) - rules.dump * (float(bars.close[k]) - begun)
    sold = np.flatnonzero(later <= level)
    end = k + 1 + int(sold[0]) if len(sold) else k
    if len(sold):
        text += f"; {rules.dump:.0%} of it was lost within {int(sold[0]) + 1} bars"
    score = 1.0 - rules.move / move
    return Finding(
        "pump", int(bars.ts[k - rules.window]), int(bars.ts[end]), "", float(bars.close[k]),
        float(bars.volume[k - rules.window + 1 : k + 1].sum()), score, text,
    )  # fmt: skip


def _side(side: int) -> str:
    return "bid" if side == BID else "ask"
