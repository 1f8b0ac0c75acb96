"""The verdict of the fault lab: a sound run is found sound, and every way of spoiling it is found by name."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.chaos.acts import ACTS
from omega.chaos.config import BOTS, MAX_NOTIONAL, write_config
from omega.chaos.disk import cut_power, raise_mark, wal_size, write_mark
from omega.chaos.faults import FAULTS
from omega.chaos.guards import GUARDS
from omega.chaos.report import merge, table
from omega.chaos.scenarios import SCENARIOS
from omega.chaos.truth import Truth
from omega.chaos.verify import verify, voided

COIN = Decimal("0.01")


def order(number: int, client_id: str, side: str, **more: Any) -> dict[str, Any]:
    row = {"orderId": str(number), "clientOid": client_id, "symbol": "BTCUSDT", "side": side, "status": "filled"}
    return {**row, "baseVolume": "0.01", "size": "0.01", "enterPointSource": "API", "cTime": "1", **more}


def trade(number: int, of: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {"tradeId": str(number), "orderId": of["orderId"], "clientOid": of["clientOid"], "symbol": of["symbol"]}
    return {**row, "side": of["side"], "baseVolume": "0.01", "price": "50000", "cTime": "1", **more}


def journalled(client_id: str, intent: str, **more: Any) -> dict[str, Any]:
    row = {"client_id": client_id, "intent_id": intent, "bot": "a", "symbol": "BTC-USDT.P", "size": "0.01"}
    row |= {"state": "filled", "filled": "0.01", "code": "", "reason": "", "role": "entry", "ref_price": "50000"}
    return {**row, "epoch": 5, "created_ns": 1, **more}


def sound() -> Truth:
    """One bot that has entered, a second intent that was denied."""
    entry = order(10, "o1", "buy")
    plan = {"symbol": "BTCUSDT", "planStatus": "live", "planType": "loss_plan", "side": "sell", "size": "0.01"}
    account = {"positions": [{"symbol": "BTCUSDT", "holdSide": "long", "total": "0.01"}]}
    fill = {"trade_id": "11", "bot": "a", "symbol": "BTC-USDT.P", "side": "buy", "size": "0.01", "client_id": "o1"}
    denied = journalled("o2", "a:2:0", state="denied", filled="0", code="pending")
    return Truth(
        venue={"orders": [entry], "trades": [trade(11, entry)], "plans": [plan], "accounts": {"1": account}},
        orders=[journalled("o1", "a:1:0"), denied],
        fills=[fill],
        plans=[],
        events=[("o1", "sending", 1), ("o1", "unresolved", 2), ("o1", "filled", 3_000_000_001)],
        intents={"a:1:0": 1_000, "a:2:0": 2_000},
        kept_fills={("11", "a")},
        kept_orders={"o1": "filled", "o2": "denied"},
        kept_positions={("a", "BTC-USDT.P"): COIN},
        statuses={("a", "BTC-USDT.P"): COIN},
        max_notional=Decimal(600),
        naked_s=1.0,
    )


def second_order(truth: Truth) -> None:
    again = order(12, "o9", "buy")
    truth.venue["orders"].append(again)
    truth.orders.append(journalled("o9", "a:1:0#again"))


def second_entry(truth: Truth) -> None:
    """Another entry is accepted while the first one fills the limit."""
    truth.venue["orders"].append(order(12, "o3", "buy", status="live", baseVolume="0"))
    truth.orders.append(journalled("o3", "a:3:0", state="working", filled="0"))
    truth.kept_orders["o3"] = "working"


def old_writer(truth: Truth) -> None:
    truth.orders.append(journalled("o4", "a:4:0", state="rejected", filled="0", epoch=4))
    truth.kept_orders["o4"] = "rejected"


SPOILED: list[tuple[str, Callable[[Truth], Any]]] = [
    ("intent_lost", lambda t: t.intents.update({"a:9:0": 9})),
    ("intent_unfinished", lambda t: t.orders[1].update(state="unresolved")),
    ("order_unknown", lambda t: t.venue["orders"].append(order(12, "stranger", "buy"))),
    ("order_doubled", second_order),
    ("order_lost", lambda t: t.orders[0].update(state="rejected")),
    ("order_differs", lambda t: t.orders[0].update(filled="0.005")),
    ("order_invented", lambda t: t.orders[1].update(state="filled")),
    ("fill_lost", lambda t: t.fills.clear()),
    ("fill_differs", lambda t: t.fills[0].update(size="0.02")),
    ("fill_invented", lambda t: t.fills.append({**t.fills[0], "trade_id": "77"})),
    ("fill_unowned", lambda t: t.fills[0].update(bot="external")),
    ("books_differ", lambda t: t.venue["accounts"]["1"]["positions"].clear()),
    ("stop_missing", lambda t: t.venue["plans"].clear()),
    ("stop_doubled", lambda t: t.venue["plans"].append(dict(t.venue["plans"][0]))),
    ("limit_broken", second_entry),
    ("fence_broken", old_writer),
    ("ledger_lacks_fill", lambda t: t.kept_fills.clear()),
    ("ledger_invents_fill", lambda t: t.kept_fills.add(("99", "a"))),
    ("ledger_order_differs", lambda t: t.kept_orders.update(o1="working")),
    ("ledger_book_differs", lambda t: t.kept_positions.clear()),
    ("runner_book_differs", lambda t: t.statuses.update({("a", "BTC-USDT.P"): Decimal(0)})),
    ("naked_too_long", lambda t: setattr(t, "naked_s", 5.1)),
    ("unresolved_too_long", lambda t: t.events.__setitem__(2, ("o1", "filled", 61_000_000_002))),
    ("audit_broken", lambda t: t.audit.append("record 7 does not follow 6")),
]


def test_verify_sound_run_has_no_finding() -> None:
    assert verify(sound()) == []


@pytest.mark.parametrize(("invariant", "spoil"), SPOILED, ids=[name for name, _ in SPOILED])
def test_verify_spoiled_run_is_found_by_name(invariant: str, spoil: Callable[[Truth], Any]) -> None:
    truth = copy.deepcopy(sound())

    spoil(truth)

    assert invariant in {found.invariant for found in verify(truth)}


def test_verify_intent_that_the_bus_lost_unread_is_void_and_no_finding() -> None:
    """Only when the bus was emptied after it came, and soon: later it had been read."""
    truth = sound()
    truth.intents["a:9:0"] = 9_000
    truth.flushed = [9_500 * 1_000_000]

    assert (verify(truth), voided(truth)) == ([], ["a:9:0"])

    truth.flushed = [40_000 * 1_000_000]
    assert [found.invariant for found in verify(truth)] == ["intent_lost"]


def test_doubt_is_measured_from_the_send_to_the_proof() -> None:
    assert sound().unresolved_s() == [3.0]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_schedule_same_seed_same_faults_another_seed_others(name: str) -> None:
    def plan(seed: int) -> list[str]:
        return [fault.words() for fault in SCENARIOS[name].plan(random.Random(f"{name}:{seed}"), 12)]

    assert plan(3) == plan(3)
    assert name == "quiet" or len({tuple(plan(seed)) for seed in range(8)}) > 1


def test_every_kind_has_its_words_and_its_act_and_is_drawn() -> None:
    assert set(FAULTS) == set(ACTS)
    drawn = {fault.kind for seed in range(60) for fault in SCENARIOS["random"].plan(random.Random(seed), 12)}
    assert drawn == set(FAULTS)


def test_every_guard_names_a_scenario_that_shows_it() -> None:
    assert set(GUARDS) == {"fsync", "fence", "dedup", "look-up", "reservation"}
    assert {guard.scenario for guard in GUARDS.values()} <= set(SCENARIOS)


def test_power_cut_leaves_what_was_synced(tmp_path: Path) -> None:
    journal, mark = tmp_path / "journal.db", tmp_path / "synced"
    (tmp_path / "journal.db-wal").write_bytes(b"x" * 100)
    write_mark(mark, 60)

    assert cut_power(journal, mark) == 40
    assert wal_size(journal) == 60
    assert cut_power(journal, mark) == 0


def test_report_over_seeds_sums_and_keeps_the_worst() -> None:
    row: dict[str, Any] = {
        "scenario": "random",
        "without": [],
        "skipped": ["funding: no position"],
        "restarts": {"x": 1},
    }
    row |= {"halts_released": {}, "load": 1.0, "elapsed_s": 2.0, "naked_s_max": 0.5, "unresolved_s_max": 3.0}
    row |= dict.fromkeys(("bars", "intents", "voided", "orders", "trades", "duplicates", "unresolved"), 2)
    one = row | {"seed": 1, "faults": {"kill": 1}, "recoveries": {"kill": [1.0], "end": [9.0]}, "violations": []}
    bad = {"invariant": "order_doubled", "evidence": "twice", "ts": 0}
    two = row | {"seed": 2, "faults": {"kill": 2}, "recoveries": {"kill": [2.0, 4.0]}, "violations": [bad]}

    told = merge([one, two | {"naked_s_max": 0.7}])

    assert (told["faults"], told["faults_total"], told["orders"]) == ({"kill": 3}, 3, 4)
    assert told["recovery_s"] == {"median": 2.0, "p99": 4.0, "max": 4.0}
    assert (told["naked_s_max"], told["violations"]) == (0.7, [{"seed": 2, **bad}])
    assert "seed 2: order_doubled: twice" in table(told)


@pytest.mark.parametrize("tight", [True, False])
def test_lab_config_is_read_as_it_is_written(tight: bool, tmp_path: Path) -> None:
    """A later layer that took a limit back would make the lab blind."""
    settings = write_config(tmp_path / "config", tight=tight)

    assert settings.trading.max_notional == MAX_NOTIONAL[tight]
    assert (settings.gateway.proof_of_absence_s, settings.gateway.reconcile_s) == (8, 2)
    assert sorted(settings.bots) == list(BOTS)


def test_synced_length_only_grows_however_late_a_sync_ends(tmp_path: Path) -> None:
    mark = tmp_path / "synced"
    write_mark(mark, 0)

    for size in (60, 20, 80):
        raise_mark(mark, size)

    assert mark.read_text() == "80"
