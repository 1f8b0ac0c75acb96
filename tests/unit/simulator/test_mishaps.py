"""Push faults, and what befalls an account without an order; a simulator that is killed knows its mishaps again."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from omega.errors import Rejected
from services.simulator import mishaps
from services.simulator.exchange import Exchange, load_exchange
from services.simulator.faults import Fault, Faults, What
from services.simulator.inputs import Kind
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.ledger import exposed, ledger
from services.simulator.options import SimulatorOptions
from services.simulator.outbox import Channel, Private
from services.simulator.recovery import recover
from services.simulator.rest.routes import PRIVATE

FRAMES = [Private("1", Product.SWAP, Channel.ORDERS, str(number), {"n": number}) for number in range(4)]


@pytest.mark.parametrize(
    ("what", "times", "now", "late"),
    [
        (What.PUSH_LOST, 2, [2, 3], []),
        (What.PUSH_DOUBLED, 1, [0, 0, 1, 2, 3], []),
        (What.PUSH_REORDERED, 3, [2, 1, 0, 3], []),
        (What.PUSH_LATE, 1, [1, 2, 3], [0]),
    ],
)
def test_push_fault_bends_so_many_frames(what: What, times: int, now: list[int], late: list[int]) -> None:
    faults = Faults()
    faults.waiting.append(Fault(what, path="", times=times, seconds=0.5))

    sent, delayed = faults.bend(list(FRAMES))

    assert [int(frame.symbol) for frame in sent] == now
    assert [(seconds, int(frame.symbol)) for seconds, frame in delayed] == [(0.5, number) for number in late]
    assert faults.waiting == []
    assert faults.draw("/order/place-order") is None


def opened(state: Path) -> Exchange:
    exchange = load_exchange(SimulatorOptions(speed=0, limits=False, warmup=300, state=str(state)))
    recover(exchange)
    return exchange


def rest(exchange: Exchange, **body: str) -> None:
    """Enter as a client does, with a stop."""
    account = next(iter(exchange.venue.by_uid.values()))
    path = "/api/v2/mix/order/place-order"
    fields = {"symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginMode": "crossed", "marginCoin": "USDT"}
    fields |= {"orderType": "market", "side": "buy", "size": "0.03", "presetStopLossPrice": "50000", **body}
    PRIVATE["POST", path].handler(exchange.venue, account, Fields(fields))
    exchange.inputs.note(Kind.REST, uid=account.uid, path=path, body=fields)


def befall(exchange: Exchange, **body: object) -> None:
    mishaps.befall(exchange.venue, Fields(body))
    exchange.inputs.note(Kind.MISHAP, body=body)


def minute(exchange: Exchange) -> None:
    exchange.work_minute()
    exchange.inputs.note(Kind.STEP)


def sizes(exchange: Exchange) -> list[tuple[str, Decimal]]:
    account = next(iter(exchange.venue.by_uid.values()))
    return [
        (row["size"], sum((Decimal(stop[2]) for stop in row["stops"]), Decimal(0)))
        for row in exposed(exchange.venue, account)
    ]


def test_mishaps_befall_an_account_and_are_repeated_after_a_kill(tmp_path: Path) -> None:
    """A fill in two parts, an entry without its stop, funding, liquidation: a new life knows them all."""
    state = tmp_path / "state"
    exchange = opened(state)
    befall(exchange, mishap="partial")
    rest(exchange)
    minute(exchange)
    half = sizes(exchange)
    minute(exchange)
    whole = sizes(exchange)
    befall(exchange, mishap="no_stop")
    rest(exchange, size="0.01")
    minute(exchange)
    naked = sizes(exchange)
    befall(exchange, mishap="funding")
    bills = [bill.business for bill in exchange.venue.bills]
    befall(exchange, mishap="liquidation", symbol="BTCUSDT")
    exchange.inputs.close()

    again = opened(state)

    assert half == [("0.015", Decimal("0.015"))]
    assert whole == [("0.03", Decimal("0.03"))]
    assert naked == [("0.04", Decimal("0.03"))]
    assert bills.count("contract_settle_fee") == 1
    assert sizes(exchange) == []
    assert ledger(again.venue) == ledger(exchange.venue)
    again.inputs.close()


def test_mishap_that_does_not_exist_is_refused_with_the_choice(tmp_path: Path) -> None:
    exchange = opened(tmp_path / "state")

    with pytest.raises(Rejected, match="choose from funding, liquidation, partial, no_stop"):
        mishaps.befall(exchange.venue, Fields({"mishap": "rain"}))
    exchange.inputs.close()
