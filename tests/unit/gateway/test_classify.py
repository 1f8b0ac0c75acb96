"""The table of refusals: every measured answer has its kind, and an unknown code is never a rejection."""

from __future__ import annotations

import json
import os
from pathlib import Path

import aiohttp
import ccxt.async_support as ccxt_async
import pytest

from omega.errors import ConfigError, Rejected, TransientError, Unresolved
from services.gateway.classify import RefusalKind, SendOutcome, classify, code_of, raised, raised_read
from services.gateway.venues.bitget import REFUSALS

SHARED = Path(os.environ.get("OMEGA_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")
CASES = SHARED / "bitget" / "error_cases.json"
DOUBTFUL = {"UNRESOLVED", "DUPLICATE"}


def _rows() -> list[dict[str, object]]:
    if not CASES.exists():
        return []
    rows: list[dict[str, object]] = json.loads(CASES.read_text())["rest"]
    return rows


@pytest.mark.req("2.17", "0.54")
@pytest.mark.skipif(
    not CASES.exists(), reason=f"ABSENT: {CASES}; set OMEGA_SHARED_DATA to the folder that holds bitget/"
)
@pytest.mark.parametrize("row", _rows(), ids=lambda row: str(row["id"]))
async def test_classify_measured_answer_gives_the_stored_kind(row: dict[str, object]) -> None:
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    error = getattr(ccxt_async, str(row["exception"]))(f"bitget {body}")

    verdict = classify(error, REFUSALS)

    assert verdict.kind == row["kind"]
    assert (verdict.outcome is SendOutcome.UNRESOLVED) == (row["kind"] in DOUBTFUL)


@pytest.mark.req("2.17")
def test_classify_unknown_code_is_unresolved_never_rejected() -> None:
    verdict = classify(ccxt_async.ExchangeError('bitget {"code":"99999","msg":"new"}'), REFUSALS)

    assert (verdict.kind, verdict.outcome, verdict.code) == (RefusalKind.UNKNOWN, SendOutcome.UNRESOLVED, "99999")


@pytest.mark.parametrize(
    "error", [TimeoutError(), aiohttp.ClientOSError("reset"), ccxt_async.BaseError("?"), ValueError("garbage")]
)
def test_classify_error_without_code_is_unresolved(error: Exception) -> None:
    assert classify(error, REFUSALS).outcome is SendOutcome.UNRESOLVED


@pytest.mark.parametrize(
    "text", ["", "bitget", "bitget {broken", "bitget []", 'bitget {"code":null}', "<html>{}</html>"]
)
def test_code_of_text_without_a_code_is_empty(text: str) -> None:
    assert code_of(text, REFUSALS) == ""


def test_raised_write_follows_the_proof_and_read_may_be_repeated() -> None:
    funds = ccxt_async.InsufficientFunds('bitget {"code":"40762","msg":"x"}')
    rights = ccxt_async.PermissionDenied('bitget {"code":"40014","msg":"x"}')
    late = ccxt_async.RequestTimeout("bitget POST")

    refused, unknown = raised(funds, "place", REFUSALS), raised(late, "place", REFUSALS)

    assert isinstance(refused, Rejected)
    assert (refused.code, refused.kind) == ("40762", "FUNDS")
    assert isinstance(unknown, Unresolved)
    assert isinstance(raised_read(late, "read", REFUSALS), TransientError)
    assert isinstance(raised_read(rights, "read", REFUSALS), ConfigError)
