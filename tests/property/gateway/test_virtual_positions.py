"""Many bots long and short in one symbol, and strangers beside them: every book is its own, the sum is the venue.

Random executions (ours, partial, doubled, late; strangers'; liquidations), funding and adoptions go through the real
private side and journal; beside them a plain ledger of each bot.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from omega.config import Settings
from omega.domain import Instrument, Kind, Side
from omega.telemetry import Metrics
from services.gateway.account import Account
from services.gateway.journal import Journal
from services.gateway.private import PrivateSide
from services.gateway.stops import StopKeeper
from services.gateway.turns import Turns
from services.gateway.venue import FundingBill, Trade

D = Decimal
SYMBOL = "BTC-USDT.P"
BOTS = ("ann", "bob", "cat", "dan", "eve")
STEP = D("0.001")
RULES = Instrument(
    symbol=SYMBOL, venue="bitget", venue_symbol="BTC/USDT:USDT", base="BTC", quote="USDT", kind=Kind.SWAP,
    price_step=D("0.1"), size_step=STEP, min_size=STEP, min_notional=D(5), max_leverage=125,
    maker_fee=D("0.0002"), taker_fee=D("0.0006"),
)  # type: ignore[arg-type]  # fmt: skip

sizes = st.integers(1, 40).map(lambda count: count * STEP)
prices = st.integers(900, 1100).map(D)
sides = st.sampled_from([Side.BUY, Side.SELL])
events = st.one_of(
    st.tuples(st.just("own"), st.sampled_from(BOTS), sides, sizes, prices),
    st.tuples(st.just("again"), st.integers(0, 50)),
    st.tuples(st.just("stranger"), sides, sizes, prices),
    st.tuples(st.just("forced"), prices),
    st.tuples(st.just("funding"), st.integers(-500, 500).map(lambda cents: D(cents) / 100)),
    st.tuples(st.just("adopt"), st.sampled_from(BOTS)),
    st.tuples(st.just("restart")),
)


class Sea:
    """An account without a venue: only what its private side takes."""

    instruments: ClassVar[dict[str, Instrument]] = {SYMBOL: RULES}

    def venue_ns(self) -> int:
        return 1


class World:
    """The account under test beside the venue's net position and the money that it has moved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.net = D(0)
        self.cash = D(0)
        self.trades: list[Trade] = []
        self.own: dict[str, Decimal] = defaultdict(D)
        self.bills = 0
        self.open()

    def open(self) -> None:
        config = Settings.model_validate({"gateway": {"halt_file": str(self.folder / "HALT")}})
        metrics = Metrics()
        self.journal = Journal(self.folder / "j.sqlite")
        self.journal.open()
        venue: Any = Sea()
        turns = Turns("bitget", config.gateway, metrics)
        self.account = Account(settings=config, journal=self.journal, venue=venue, metrics=metrics, turns=turns)
        self.account.load()
        self.private = PrivateSide(self.account, StopKeeper(self.account))

    def restart(self) -> None:
        self.journal.close()
        self.open()

    def trade(self, side: Side, size: Decimal, price: Decimal, *, bot: str = "", forced: bool = False) -> None:
        number = len(self.trades) + 1
        fee = size * price * D("0.0006")
        name = f"o{bot}{number}" if bot else ""
        if bot:
            self._know(name, bot, side, size)
        made = Trade(
            f"t{number}",
            f"v{number}",
            name,
            SYMBOL,
            side,
            price,
            size,
            fee,
            "USDT",
            maker=False,
            forced=forced,
            ts_ns=1,
        )
        self.trades.append(made)
        self.net += size * side.sign
        self.cash -= size * side.sign * price + fee
        assert self.private.take_trades([made]) >= 1

    def _know(self, client_id: str, bot: str, side: Side, size: Decimal) -> None:
        from omega.domain import OrderState, Role
        from services.gateway.rows import JournalOrder

        order = JournalOrder(
            client_id, client_id, bot, SYMBOL, side, size, Role.EXIT, False, None, None, D(1000), 1, 0, "", 1,
            state=OrderState.SENDING,
        )  # fmt: skip
        self.journal.admit(order)
        self.own[bot] += size * side.sign

    def check(self) -> None:
        books = self.account.books
        assert books.net(SYMBOL) == self.net, "the sum of the books is the venue"
        assert books.residuals({SYMBOL: self.net} if self.net else {}) == {}
        mark = D(1000)
        equity = sum((book.net + book.unrealised(mark) for _, book in books.items()), D(0))
        assert abs(equity - (self.cash + self.net * mark)) < D("0.000001"), "no money is made or lost between books"
        for book in dict(books.items()).values():
            assert (book.size == 0) == (book.entry == 0)


@settings(max_examples=40, deadline=None)
@given(happened=st.lists(events, max_size=25))
def test_books_of_any_executions_sum_to_the_venue_and_lose_no_cent(happened: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        for number, (kind, *what) in enumerate(happened):
            match kind:
                case "own":
                    bot, side, size, price = what
                    before = {name: world.account.books.book(name, SYMBOL).size for name in BOTS}
                    world.trade(side, size, price, bot=bot)
                    after = {name: world.account.books.book(name, SYMBOL).size for name in BOTS}
                    assert {name for name in BOTS if before[name] != after[name]} == {bot}, "nobody else's book moves"
                    assert after[bot] - before[bot] == size * side.sign
                case "again" if world.trades:
                    assert world.private.take_trades([world.trades[what[0] % len(world.trades)]]) == 0
                case "stranger":
                    side, size, price = what
                    world.trade(side, size, price)
                case "forced" if world.net:
                    side = Side.SELL if world.net > 0 else Side.BUY
                    world.trade(side, abs(world.net), what[0], forced=True)
                case "funding" if world.net and what[0]:
                    world.bills += 1
                    world.private.take_funding([FundingBill(f"f{world.bills}", SYMBOL, what[0], 2)])
                    world.cash += what[0]
                case "adopt":
                    external = world.account.books.book("external", SYMBOL).size
                    held = world.account.books.book(what[0], SYMBOL).size
                    if external and (held * external >= 0 or abs(external) <= abs(held)):
                        world.account.adopt(what[0], SYMBOL, external, stop=D(1), target=None, key=str(number))
                        assert world.account.books.book("external", SYMBOL).size == 0
                        assert world.account.books.book(what[0], SYMBOL).size == held + external
                case "restart":
                    before_books = dict(world.account.books.items())
                    world.restart()
                    assert dict(world.account.books.items()) == before_books, "the journal folds to the same books"
                case _:
                    continue
            world.check()
        world.journal.close()


@settings(max_examples=25, deadline=None)
@given(held=st.dictionaries(st.sampled_from(BOTS), st.integers(-20, 20).filter(bool), min_size=1), by=sides, size=sizes)
def test_stranger_who_closes_never_opens_a_bots_book(held: dict[str, int], by: Side, size: Decimal) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        for bot, count in held.items():
            world.trade(Side.BUY if count > 0 else Side.SELL, abs(count) * STEP, D(1000), bot=bot)
        before = {bot: world.account.books.book(bot, SYMBOL).size for bot in held}
        world.trade(by, size, D(1001))
        world.check()
        for bot, was in before.items():
            now = world.account.books.book(bot, SYMBOL).size
            assert abs(now) <= abs(was)
            assert now * was >= 0
        world.journal.close()
