"""How the command line speaks with a running farm: over its bus, or past it to the gateway's own port."""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from omega.bus import FARM, RISK_REDUCING, Command, CommandResult, Scalar, Verb, connect, new_id
from omega.config import Settings
from omega.config.loader import load
from omega.errors import EnvironmentFault, OmegaError, Stale
from omega.runtime.kill import kill

if TYPE_CHECKING:
    from omega.bus.redis import RedisBus

ANSWER_S: Final = 5.0
EXPIRES_NS: Final = 10_000_000_000
_ANSWERED: Final = frozenset({"applied", "confirmed", "refused"})
T = TypeVar("T")


def with_bus(work: Callable[[RedisBus, Settings], Awaitable[T]]) -> T:
    """Run something over the bus that the settings name.

    Raises:
        EnvironmentFault: the server is not reached, or a service that was asked does not answer.
    """
    settings = load().settings
    return asyncio.run(over_bus(settings, lambda bus: work(bus, settings)))


async def over_bus(settings: Settings, work: Callable[[RedisBus], Awaitable[T]]) -> T:
    """Run something over the bus inside a loop that runs already; as `with_bus`."""
    bus = connect(settings.redis, env=settings.environment.name.value, source=f"cli:{getpass.getuser()}")
    await bus.start()
    try:
        return await work(bus)
    except Stale as error:  # of a question: to a person at a terminal that is a farm that does not run
        raise EnvironmentFault(str(error)) from None
    finally:
        await bus.close()


def command(verb: Verb, target: str, reason: str, params: Mapping[str, Scalar] | None = None) -> Command:
    """Form a command of the person at this terminal."""
    return Command(new_id(), verb, target, getpass.getuser(), reason, dict(params or {}))


async def tell(bus: RedisBus, commands: Sequence[Command]) -> list[CommandResult]:
    """Send commands and return what is answered within a few seconds, or until every bot has done it."""
    answers: list[CommandResult] = []
    waiting = {one.command_id for one in commands if one.target != FARM}
    endless = any(one.target == FARM for one in commands)
    names = {one.command_id for one in commands}
    async with bus.follow(bus.topics.control_results()) as stream:
        for one in commands:
            deadline = 0 if one.verb in RISK_REDUCING else time.time_ns() + EXPIRES_NS
            await bus.send(one, deadline_ns=deadline, message_id=f"command:{one.command_id}")
        try:
            async with asyncio.timeout(ANSWER_S):
                async for received in stream:
                    answer = received.envelope.data
                    if not isinstance(answer, CommandResult) or answer.command_id not in names:
                        continue
                    answers.append(answer)
                    if answer.stage in _ANSWERED:
                        waiting.discard(answer.command_id)
                    if not waiting and not endless:
                        break
        except TimeoutError:
            pass
    return answers


def report(answers: Sequence[CommandResult], *, as_json: bool) -> None:
    """Print what was answered."""
    if as_json:
        print(json.dumps([asdict(answer) for answer in answers], indent=2))
        return
    for answer in answers:
        print(f"{answer.target}: {answer.stage}: {answer.detail}")


def pull(verb: Verb, reason: str, *, url: str = "") -> list[str]:
    """Pull the kill switch without Redis and return what was done, the halt file last where no gateway answers.

    Raises:
        OmegaError: neither way is open.
    """
    settings = load().settings
    gateway = settings.gateway
    try:
        key = gateway.kill_key.get_secret_value()
        work = kill(url or gateway.kill_url, key, verb=verb.value, actor=getpass.getuser(), reason=reason)
        answer = asyncio.run(work)
    except OmegaError as error:
        return [f"{type(error).__name__}: {error}", _halt_file(Path(gateway.halt_file), reason, error)]
    return [f"{settings.trading.account}: {answer['stage']}: entries are {'halted' if answer['halted'] else 'free'}"]


def show_pulled(done: Sequence[str], *, as_json: bool) -> None:
    """Print what pulling the kill switch did."""
    print(json.dumps({"done": list(done)}, indent=2) if as_json else "\n".join(done))


def _halt_file(path: Path, reason: str, error: OmegaError) -> str:
    """Write the halt file where the gateway of this machine looks for it; elsewhere raise what went wrong before."""
    if not path.parent.is_dir():
        raise error
    try:
        path.write_text(f"{reason or 'halted by hand'} ({getpass.getuser()})\n", encoding="utf-8")
    except OSError:
        raise error from None
    return f"wrote the halt file {path.absolute()}: a gateway that runs from here refuses entries while it exists"
