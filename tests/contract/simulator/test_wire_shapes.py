"""Answers and pushes of the simulator have every key of the venue's samples, with values of the same type."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions
from services.simulator.server import Server

BTC = "BTC/USDT:USDT"


def covers(ours: Any, sample: Any, where: str) -> None:
    """Check keys as a superset and the types of values; null in a sample stands for anything."""
    if sample is None:
        return
    if isinstance(sample, dict):
        assert isinstance(ours, dict), where
        missing = set(sample) - set(ours)
        assert not missing, f"{where} lacks {sorted(missing)}"
        for key, value in sample.items():
            covers(ours[key], value, f"{where}.{key}")
    elif isinstance(sample, list):
        assert isinstance(ours, list), where
        if sample:
            assert ours, f"{where} is empty"
            covers(ours[0], sample[0], f"{where}[0]")
    elif isinstance(sample, str):
        assert isinstance(ours, str), f"{where} = {ours!r}, the venue sends the text {sample!r}"
        if _is_number(sample) and ours:
            assert _is_number(ours), f"{where} = {ours!r}, the venue sends a number as text"
        if sample.isdigit() and len(sample) == 13:
            assert ours.isdigit(), f"{where} = {ours!r}, the venue sends milliseconds"
            assert len(ours) == 13, where
    else:
        assert isinstance(ours, type(sample)), f"{where} = {ours!r}, the venue sends {sample!r}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.req("0.05", "0.31")
async def test_rest_answers_cover_the_recorded_shapes(
    make_client: Any, loaded: Any, rest_cases: dict[str, Any]
) -> None:
    """One client walks through a trading day; each call's raw answer is held against the recorded one."""
    async with (
        local_simulator(SimulatorOptions(speed=60, limits=False)) as server,
        make_client(server.url, server.ws_url) as client,
    ):
        client.set_markets_from_exchange(loaded)
        checked: set[str] = set()

        async def check(case_id: str, *arguments: Any, **params: Any) -> Any:
            method = getattr(client, rest_cases[case_id]["method"])
            result = await method(*arguments, **({"params": params} if params else {}))
            # A recorded requestTime is now a number, now a text: ours is always a number.
            sample = {key: value for key, value in rest_cases[case_id]["response"].items() if key != "requestTime"}
            covers(client.last_json_response, sample, case_id)
            checked.add(case_id)
            return result

        last = (await check("rest-05", BTC))["last"]
        await check("rest-01")
        await check("rest-02", BTC)
        await check("rest-03", BTC)
        await check("rest-04", "BTC/USDT")
        await check("rest-06", None, type="spot")
        await check("rest-08", type="spot")
        await check("rest-09", type="swap")
        await check("rest-25", BTC)
        await check("rest-28", BTC)
        await check("rest-30", 25, BTC)
        await check("rest-31", "crossed", BTC)
        await check("rest-33", True)
        await check("rest-35", BTC)
        await check("rest-38", BTC)
        hedged = {"hedged": True}
        resting = await check("rest-10", BTC, "limit", "buy", 0.01, round(last * 0.98, 1), **hedged)
        await check("rest-15", resting["id"], BTC)
        await check("rest-18", BTC)
        await check("rest-11", resting["id"], BTC)
        await check("rest-20", BTC)
        other = await client.create_order(BTC, "limit", "buy", 0.01, round(last * 0.98, 1), hedged)
        await check("rest-13", [other["id"]], BTC)
        plan = {"triggerPrice": round(last * 0.97, 1), **hedged}
        trigger = await client.create_order(BTC, "limit", "buy", 0.01, round(last * 0.97, 1), plan)
        await check("rest-12", trigger["id"], BTC, trigger=True)
        await check("rest-21", BTC, trigger=True)
        await client.create_order(BTC, "market", "buy", 0.01, None, hedged)
        await check("rest-23", BTC)
        await check("rest-24", BTC)
        await check("rest-37", BTC, None)
        spot = await client.create_order("BTC/USDT", "limit", "buy", 0.001, round(last * 0.98, 1))
        await check("rest-14", spot["id"], "BTC/USDT")
        await check("rest-16", "BTC/USDT")
        await client.cancel_order(spot["id"], "BTC/USDT")
        await check("rest-19", "BTC/USDT")
        plan = {"triggerPrice": round(last * 0.97, 1)}
        await client.create_order("BTC/USDT", "limit", "buy", 0.001, round(last * 0.97, 1), plan)
        await check("rest-17", "BTC/USDT", trigger=True)
        await client.create_market_buy_order_with_cost("BTC/USDT", 100)
        await check("rest-22", "BTC/USDT")

    # rest-07 is a trap not to be imitated, rest-26 and rest-27 are answers of other dates to what rest-25 asks.
    served = {case_id for case_id, case in rest_cases.items() if case["wire"] == "v2"}
    assert served - checked == {"rest-07", "rest-26", "rest-27"}


@pytest.mark.req("0.05", "0.31")
async def test_pushes_cover_the_recorded_shapes(
    make_client: Any, loaded: Any, ws_cases: dict[str, Any], samples: list[dict[str, Any]]
) -> None:
    """Every frame of a short session is held against the recorded frame of its channel."""
    recorded: dict[tuple[str, str], list[Any]] = {}
    for frame in [frame for case in ws_cases.values() for frame in case["messages"]] + [
        sample["sample"] for sample in samples if sample["api"] == "ws" and sample["kind"] == "push"
    ]:
        if "data" in frame:
            recorded.setdefault((frame["arg"]["instType"], frame["arg"]["channel"]), []).append(frame)
    heard: dict[tuple[str, str], list[Any]] = {}

    async with (
        local_simulator(SimulatorOptions(speed=60, limits=False)) as server,
        make_client(server.url, server.ws_url) as client,
    ):
        client.set_markets_from_exchange(loaded)
        read = client.handle_message

        def listen(connection: Any, message: Any) -> None:
            if isinstance(message, dict) and "data" in message:
                heard.setdefault((message["arg"]["instType"], message["arg"]["channel"]), []).append(message)
            read(connection, message)

        client.handle_message = listen
        waiting = [
            asyncio.create_task(watch)
            for watch in (
                client.watch_orders(BTC),
                client.watch_my_trades(BTC),
                client.watch_my_trades("BTC/USDT"),
                client.watch_positions([BTC]),
                client.watch_balance({"type": "swap"}),
                client.watch_balance({"type": "spot"}),
                client.watch_ticker(BTC),
                client.watch_ticker("BTC/USDT"),
                client.watch_ohlcv(BTC, "1m"),
                client.watch_ohlcv("BTC/USDT", "1m"),
                client.watch_order_book(BTC, 5),
                client.watch_order_book("BTC/USDT", 5),
                client.watch_trades(BTC),
                client.watch_trades("BTC/USDT"),
            )
        ]
        async with asyncio.timeout(60):
            while not set(recorded) <= subscribed(server):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        await client.create_order(BTC, "market", "buy", 0.01)
        await client.create_market_buy_order_with_cost("BTC/USDT", 100)
        await asyncio.wait_for(asyncio.gather(*waiting), 60)
        await asyncio.sleep(0.3)

    assert set(recorded) <= set(heard)
    for channel, frames in recorded.items():
        for sample in frames:
            _one_covers(heard[channel], sample, channel)


def subscribed(server: Server) -> set[tuple[str, str]]:
    """Return market and channel of everything that somebody listens to."""
    return {(arg.inst_type, arg.channel) for session in server.hub._sessions for arg in session.args}


def _one_covers(frames: list[Any], sample: dict[str, Any], channel: tuple[str, str]) -> None:
    """A recorded frame is covered by the one of ours that stands for the same moment."""
    errors = []
    # Old books5 frames carried a checksum, those of 2026 do not; ours do not either.
    rows = [
        {key: value for key, value in row.items() if (channel[1], key) != ("books5", "checksum")}
        if isinstance(row, dict)
        else row
        for row in sample["data"]
    ]
    for frame in frames:
        try:
            covers(frame, {**sample, "data": rows} if "ts" in sample else {"data": rows}, str(channel))
        except AssertionError as error:
            errors.append(str(error))
        else:
            return
    pytest.fail(f"{channel}: {errors[:3]}")
