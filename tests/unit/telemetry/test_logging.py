"""Log lines: shape, context, levels while running, foreign loggers, secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from omega.config import Gateway, Redis, Settings
from omega.telemetry import MASK, Levels, Redactor, bound_contextvars, configure, get_logger
from omega.telemetry.logging import configure_quietly


class Lines(io.StringIO):
    def read_all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def out() -> Iterator[Lines]:
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    yield Lines()
    configure_quietly()
    root.setLevel(level)
    root.handlers[:] = handlers


def setup(out: Lines, *, redactor: Redactor | None = None, log_format: str = "json") -> Levels:
    return configure(
        service="gateway", instance="g-0", version="1.2", stream=out, redactor=redactor, log_format=log_format
    )


@pytest.mark.req("0.39", "2.74", "4.57", "3.20")
def test_logging_line_has_the_same_fields_everywhere(out: Lines) -> None:
    setup(out)

    with bound_contextvars(bot="fib-btc", venue="bitget", correlation="c1"):
        get_logger("services.gateway").info("order.rejected", code="43012")

    line = out.read_all()[0]
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "event": "order.rejected",
        "logger": "services.gateway",
        "service": "gateway",
        "instance": "g-0",
        "version": "1.2",
        "bot": "fib-btc",
        "venue": "bitget",
        "correlation": "c1",
        "code": "43012",
    }


@pytest.mark.req("0.29")
def test_logging_level_of_a_module_changes_while_running(out: Lines) -> None:
    levels = setup(out)
    logger = get_logger("omega.bus.redis")

    logger.debug("a.dropped")
    levels.set("info", {"omega.bus": "debug"})
    logger.debug("b.kept")
    get_logger("omega.busy").debug("c.dropped")
    levels.set("error", {"omega.bus": "warning"})
    logger.info("d.dropped")
    logger.warning("e.kept")

    assert [line["event"] for line in out.read_all()] == ["b.kept", "e.kept"]


def test_logging_foreign_libraries_take_the_same_way(out: Lines) -> None:
    setup(out, redactor=Redactor(["planted-secret"]))

    logging.getLogger("aiohttp.server").warning("could not use %s", "planted-secret")
    logging.getLogger("discord.gateway").info("noise")

    lines = out.read_all()
    assert len(lines) == 1
    assert lines[0]["event"] == f"could not use {MASK}"
    assert lines[0]["service"] == "gateway"


@pytest.mark.req("0.39", "1.65")
def test_logging_secrets_are_removed_by_value_and_by_key_even_in_tracebacks(out: Lines) -> None:
    settings = Settings(
        gateway=Gateway.model_validate({"api_secret": "planted/one+"}), redis=Redis(url="redis://u:planted-two@h/0")
    )
    redactor = Redactor()
    redactor.learn(settings)
    setup(out, redactor=redactor)
    logger = get_logger("omega")

    try:
        int("bad key planted/one+ given")
    except ValueError:
        logger.exception(
            "venue.failed", headers={"ACCESS-SIGN": "abc", "x": ["planted/one+"]}, error=OSError("planted-two")
        )
    logger.info("x.seen", passphrase="short", url="a?k=planted%2Fone%2B", settings=settings.gateway.api_secret)

    text = out.getvalue()
    assert "planted" not in text
    assert "short" not in text
    assert "ValueError" in text
    assert text.count(MASK) >= 6


def test_logging_closed_stream_does_not_stop_the_process(out: Lines) -> None:
    setup(out)
    out.close()

    get_logger("omega").info("nobody.listens")


def test_logging_console_format_is_for_people(out: Lines) -> None:
    setup(out, log_format="console")

    get_logger("omega").info("farm.started", bots=4)

    assert "farm.started" in out.getvalue()
    assert "bots=4" in out.getvalue()
