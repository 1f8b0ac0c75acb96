"""How each fault is done to a running lab. Called by the lab, fault by fault; every act also undoes itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from omega.chaos.child import armed_file
from omega.chaos.disk import wal_size
from omega.chaos.farm import LabFarm
from omega.chaos.faults import POINTS, Fault, Kind
from omega.chaos.market import Market
from omega.cli.farm.admin import AdminClient
from omega.errors import TransientError

_BARS: Final = 60
"""How long a fault waits for what it hits: an order, a stop, a push."""
_TWIN_READY_S: Final = 40.0
_LATE_S: Final = 0.15
_ROOM: Final = 4_096
_MANY: Final = 1_000_000
_SKEW_S: Final = 45.0
"""Beyond the thirty seconds that the venue accepts."""
_COPY: Final = """
for _, lane in ipairs(KEYS) do
  local newest = redis.call('XREVRANGE', lane, '+', '-', 'COUNT', 1)
  if #newest > 0 then redis.call('XADD', lane, '*', 'm', newest[1][2][2]) end
end
return 1
"""


class Skipped(Exception):  # noqa: N818 - an outcome, not an error
    """A fault that found nothing to hit, or that this machine does not allow; it says which."""


class Bench(Protocol):
    """What an act needs of the lab."""

    farm: LabFarm
    market: Market
    venue: AdminClient
    intents: dict[str, int]
    flushed: list[int]


Act = Callable[[Bench, Fault], Awaitable[None]]


async def do(lab: Bench, fault: Fault) -> None:
    """Do one fault and undo what does not undo itself.

    Raises:
        Skipped: it could not be done.
    """
    await ACTS[fault.kind](lab, fault)


# processes ---------------------------------------------------------------------------------------------------------


def _send(pid: int, number: signal.Signals) -> None:
    if pid:  # 0 would be the lab's own group
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _dead(lab: Bench, name: str) -> None:
    """Kill a process and wait until another has taken its place."""
    child = lab.farm.child(name)
    before, pid = child.restarts, child.pid
    lab.farm.forgive(child)
    _send(pid, signal.SIGKILL)
    await _replaced(lab, name, before)


async def _replaced(lab: Bench, name: str, before: int) -> None:
    child = lab.farm.child(name)
    while child.restarts == before or not child.pid:
        lab.farm.raise_failed()
        await asyncio.sleep(0.02)


async def _kill(lab: Bench, fault: Fault) -> None:
    await _dead(lab, fault.target)


async def _pause(lab: Bench, fault: Fault) -> None:
    pid = lab.farm.child(fault.target).pid
    _send(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        _send(pid, signal.SIGCONT)


def _names(lab: Bench, fault: Fault) -> list[str]:
    kind = POINTS[fault.point]
    return [name for name in lab.farm.processes.children if name.split("-", 1)[0] == kind]


async def _reached(lab: Bench, fault: Fault, what: str) -> str:
    """Arm a point in every process that passes it, and return the one that came first.

    Raises:
        Skipped: none did.
    """
    files = {name: armed_file(lab.farm.points, name, fault.point) for name in _names(lab, fault)}
    for name, file in files.items():
        lab.farm.forgive(lab.farm.child(name))
        fresh = file.with_suffix(".new")
        fresh.write_text(what, encoding="ascii")
        fresh.replace(file)

    async def taken() -> bool:
        return any(not file.exists() for file in files.values())

    try:
        if not await lab.market.until(taken, bars=_BARS):
            raise Skipped(f"nobody came to {fault.point} within {_BARS} bars")
        return next(name for name, file in files.items() if not file.exists())
    finally:
        for file in files.values():
            file.unlink(missing_ok=True)


async def _kill_at(lab: Bench, fault: Fault) -> None:
    before = {name: lab.farm.child(name).restarts for name in _names(lab, fault)}
    name = await _reached(lab, fault, "kill")
    await _replaced(lab, name, before[name])


async def _pause_at(lab: Bench, fault: Fault) -> None:
    name = await _reached(lab, fault, "pause")
    pid = lab.farm.child(name).pid
    await asyncio.sleep(fault.seconds)
    for other in _names(lab, fault):  # two may have come at once
        _send(lab.farm.child(other).pid, signal.SIGCONT)
    _send(pid, signal.SIGCONT)


async def _power_loss(lab: Bench, fault: Fault) -> None:
    before = lab.farm.child("gateway").restarts
    lab.farm.lose_power()
    try:
        await _reached(lab, fault, "kill")
        await _replaced(lab, "gateway", before)
    finally:
        lab.farm.processes.before.pop("gateway", None)


async def _two_writers(lab: Bench, fault: Fault) -> None:
    farm = lab.farm
    first, twin = farm.child(fault.target), farm.twin(fault.target)
    pid = first.pid
    farm.forgive(first)
    _send(pid, signal.SIGSTOP)
    try:
        await farm.processes.start(twin)
        await farm.until_ready({twin.name}, within_s=_TWIN_READY_S)
        await lab.market.passes(2)
        _send(pid, signal.SIGCONT)
        await lab.market.passes(40)
    finally:
        _send(pid, signal.SIGCONT)
        farm.processes.children.pop(twin.name, None)
        if twin.process is not None and twin.pid:
            twin.process.terminate()
            await twin.process.wait()


# the bus -----------------------------------------------------------------------------------------------------------


async def _redis_kill(lab: Bench, _fault: Fault) -> None:
    await _dead(lab, "redis")


async def _redis_flush(lab: Bench, _fault: Fault) -> None:
    await lab.farm.tell_redis("FLUSHALL")
    lab.flushed.append(time.time_ns())


async def _redis_empty(lab: Bench, _fault: Fault) -> None:
    lab.farm.lose_redis_data()
    await _dead(lab, "redis")
    lab.flushed.append(time.time_ns())


async def _redis_slow(lab: Bench, fault: Fault) -> None:
    await _troubled(lab, fault, late_s=_LATE_S)


async def _redis_partition(lab: Bench, fault: Fault) -> None:
    await _troubled(lab, fault, cut=True)


async def _troubled(lab: Bench, fault: Fault, **trouble: float) -> None:
    """Let the ways to Redis of one process, or of all, be in trouble for the fault's time."""
    proxies = [proxy for name, proxy in lab.farm.proxies.items() if fault.target in {"", name}]
    for proxy in proxies:
        for name, value in trouble.items():
            setattr(proxy, name, value)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        for proxy in proxies:
            proxy.heal()


async def _doubled_intent(lab: Bench, _fault: Fault) -> None:
    """Wait for the next intent and append the newest of every lane once more."""
    known = len(lab.intents)

    async def came() -> bool:
        return len(lab.intents) > known

    if not await lab.market.until(came, bars=_BARS):
        raise Skipped(f"no intent within {_BARS} bars")
    trading, topics = lab.farm.settings.trading, lab.farm.bus.topics
    lanes = [
        topics.intents(trading.venue, trading.account, high=high, bot=bot)
        for bot in lab.farm.options.bots
        for high in (True, False)
    ]
    await lab.farm.tell_redis("EVAL", _COPY, len(lanes), *lanes)


# the venue ---------------------------------------------------------------------------------------------------------


async def _hit(lab: Bench, **fault: Any) -> None:
    """Script a fault of the venue and wait until it has hit all that it shall.

    Raises:
        Skipped: it hit nothing.
    """
    await lab.venue.call("POST", "/faults", fault)
    left = times = int(fault.get("times", 1))

    async def done() -> bool:
        nonlocal left
        left = int((await lab.venue.call("GET", "/faults"))["waiting"])
        return not left

    try:
        if not await lab.market.until(done, bars=_BARS) and left == times:
            raise Skipped(f"nothing came that {fault['what']} could hit within {_BARS} bars")
    finally:
        await lab.venue.call("DELETE", "/faults")


def _requests(what: str) -> Act:
    async def act(lab: Bench, fault: Fault) -> None:
        seconds = {"seconds": str(fault.seconds)} if fault.seconds else {}
        await _hit(lab, what=what, path=fault.target, times=fault.times, **seconds)

    return act


def _window(what: str, **more: str) -> Act:
    async def act(lab: Bench, fault: Fault) -> None:
        await lab.venue.call("POST", "/faults", {"what": what, "path": "", "times": _MANY, **more})
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await lab.venue.call("DELETE", "/faults")

    return act


def _sockets(what: str) -> Act:
    async def act(lab: Bench, fault: Fault) -> None:
        body = {"what": what, "path": fault.target, "seconds": str(fault.seconds or 1)}
        if not (await lab.venue.call("POST", "/faults", body))["hit"]:
            raise Skipped(f"no {fault.target or 'open'} socket")
        await asyncio.sleep(fault.seconds)

    return act


def _pushes(what: str) -> Act:
    async def act(lab: Bench, fault: Fault) -> None:
        await _hit(lab, what=what, times=fault.times, seconds=str(fault.seconds or 1))

    return act


async def _held(lab: Bench, *, stopped: bool = False) -> dict[str, Any]:
    """Wait for an open position (with a stop, where one is asked for) and return it.

    Raises:
        Skipped: there was none.
    """
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        positions = (await lab.venue.call("GET", "/exposed"))["positions"]
        found.extend(row for row in positions if row["stops"] or not stopped)
        return bool(found)

    if not await lab.market.until(there, bars=_BARS):
        raise Skipped(f"no position within {_BARS} bars")
    return found[0]


async def _cancel(lab: Bench, order_id: str, symbol: str) -> bool:
    body = {"orderId": order_id, "symbol": symbol, "productType": "USDT-FUTURES"}
    try:
        await lab.venue.call("POST", "/cancel", body)
    except TransientError:
        return False  # it has just fired or filled
    return True


async def _stop_vanished(lab: Bench, _fault: Fault) -> None:
    for _ in range(5):
        position = await _held(lab, stopped=True)
        if await _cancel(lab, position["stops"][0][0], position["symbol"]):
            return
    raise Skipped("every stop fired before it could vanish")


async def _stop_refused(lab: Bench, fault: Fault) -> None:
    """Refuse the next stops, and take one away so that they come."""
    body = {"what": "code", "path": "place-tpsl-order", "code": "45110", "times": fault.times}
    await lab.venue.call("POST", "/faults", body)
    try:
        await _stop_vanished(lab, fault)

        async def done() -> bool:
            return not (await lab.venue.call("GET", "/faults"))["waiting"]

        await lab.market.until(done, bars=_BARS)
    finally:
        await lab.venue.call("DELETE", "/faults")


async def _order_vanished(lab: Bench, _fault: Fault) -> None:
    gone: list[str] = []

    async def cancel() -> None:
        for row in (await lab.venue.call("GET", "/exposed"))["orders"][:1]:
            if not gone and await _cancel(lab, row["orderId"], row["symbol"]):
                gone.append(row["orderId"])

    async def done() -> bool:
        return bool(gone)

    lab.market.before_step = cancel
    try:
        if not await lab.market.until(done, bars=_BARS):
            raise Skipped(f"no order waited within {_BARS} bars")
    finally:
        lab.market.before_step = None


def _mishap(name: str) -> Act:
    """Arm a mishap of the next orders and wait until it has befallen one."""

    async def act(lab: Bench, fault: Fault) -> None:
        await lab.venue.call("POST", "/mishaps", {"mishap": name, "times": fault.times})

        async def befallen() -> bool:
            return not (await lab.venue.call("GET", "/exposed"))["armed"]

        if not await lab.market.until(befallen, bars=_BARS):
            await lab.venue.call("POST", "/mishaps", {"mishap": name, "times": 0})
            raise Skipped(f"no order within {_BARS} bars")

    return act


def _position_mishap(name: str) -> Act:
    async def act(lab: Bench, _fault: Fault) -> None:
        position = await _held(lab)
        await lab.venue.call("POST", "/mishaps", {"mishap": name, "symbol": position["symbol"]})

    return act


# the machine -------------------------------------------------------------------------------------------------------


async def _disk_full(lab: Bench, fault: Fault) -> None:
    """Let no file of the gateway grow: a limit on the size of files, which asks for no rights."""
    child = lab.farm.child("gateway")
    limit = wal_size(lab.farm.journal) + _ROOM
    if not hasattr(resource, "prlimit") or child.log.stat().st_size >= limit:
        raise Skipped("a file limit would hit the gateway's log before its journal (or prlimit is absent)")
    pid, none = child.pid, resource.RLIM_INFINITY
    try:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, none))
    except (OSError, ValueError) as error:
        raise Skipped(f"prlimit is refused here: {error}") from error
    try:
        await asyncio.sleep(fault.seconds)
        await lab.market.passes(4)
    finally:
        with contextlib.suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (none, none))


ACTS: Final[dict[Kind, Act]] = {
    Kind.KILL: _kill,
    Kind.PAUSE: _pause,
    Kind.KILL_AT: _kill_at,
    Kind.PAUSE_AT: _pause_at,
    Kind.POWER_LOSS: _power_loss,
    Kind.TWO_WRITERS: _two_writers,
    Kind.REDIS_KILL: _redis_kill,
    Kind.REDIS_FLUSH: _redis_flush,
    Kind.REDIS_EMPTY: _redis_empty,
    Kind.REDIS_SLOW: _redis_slow,
    Kind.REDIS_PARTITION: _redis_partition,
    Kind.DOUBLED_INTENT: _doubled_intent,
    Kind.DROP_BEFORE: _requests("drop_before"),
    Kind.DROP_AFTER: _requests("drop_after"),
    Kind.DELAY: _requests("delay"),
    Kind.HTTP_429: _requests("http_429"),
    Kind.HTTP_418: _requests("http_418"),
    Kind.HTTP_503: _requests("http_503"),
    Kind.MAINTENANCE: _window("maintenance"),
    Kind.WS_CLOSE: _sockets("ws_close"),
    Kind.WS_SILENT: _sockets("ws_silent"),
    Kind.PUSH_LOST: _pushes("push_lost"),
    Kind.PUSH_DOUBLED: _pushes("push_doubled"),
    Kind.PUSH_REORDERED: _pushes("push_reordered"),
    Kind.PUSH_LATE: _pushes("push_late"),
    Kind.PARTIAL_FILL: _mishap("partial"),
    Kind.STOP_REFUSED: _stop_refused,
    Kind.STOP_MISSING: _mishap("no_stop"),
    Kind.STOP_VANISHED: _stop_vanished,
    Kind.ORDER_VANISHED: _order_vanished,
    Kind.FUNDING: _position_mishap("funding"),
    Kind.LIQUIDATION: _position_mishap("liquidation"),
    Kind.CLOCK_SKEW: _window("clock_skew", seconds=str(_SKEW_S)),
    Kind.DISK_FULL: _disk_full,
}
"""One act a kind; a test holds the table whole."""

__all__ = ["ACTS", "Bench", "Skipped", "do"]
