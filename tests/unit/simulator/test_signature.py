"""Who may ask: every check of a signed request, in the venue's order."""

from __future__ import annotations

from typing import Any

import pytest

from omega.errors import Rejected
from services.simulator.account import Account, AccountSpec
from services.simulator.signature import LoginCode, Signed, payload, sign, verify, verify_login

NOW = 1_746_403_200_000
PATH = "/api/v2/mix/order/place-order"
ACCOUNTS = {"demo-key": Account(AccountSpec(), 20)}


def request(method: str = "POST", query: str = "", body: str = '{"a":1}', **headers: str) -> Signed:
    signed = Signed(method, PATH, query, body, {})
    good = {
        "ACCESS-KEY": "demo-key",
        "ACCESS-SIGN": sign("demo-secret", payload(signed, str(NOW))),
        "ACCESS-TIMESTAMP": str(NOW),
        "ACCESS-PASSPHRASE": "demo-pass",
    }
    merged = {**good, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Signed(method, PATH, query, body, merged)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"ACCESS_KEY": "", "ACCESS_SIGN": "", "ACCESS_TIMESTAMP": ""}, "40001"),
        ({"ACCESS_SIGN": "", "ACCESS_TIMESTAMP": ""}, "40003"),
        ({"ACCESS_TIMESTAMP": "", "ACCESS_PASSPHRASE": ""}, "40005"),
        ({"ACCESS_TIMESTAMP": "yesterday"}, "40005"),
        ({"ACCESS_PASSPHRASE": "", "ACCESS_KEY": "nobody"}, "40011"),
        ({"ACCESS_KEY": "nobody", "ACCESS_TIMESTAMP": "1"}, "40006"),
        ({"ACCESS_TIMESTAMP": str(NOW - 30_001), "ACCESS_SIGN": "bad"}, "40008"),
        ({"ACCESS_TIMESTAMP": str(NOW + 30_001)}, "40008"),
        ({"ACCESS_SIGN": "bad", "ACCESS_PASSPHRASE": "bad"}, "40009"),
        ({"ACCESS_PASSPHRASE": "bad"}, "40012"),
    ],
)
def test_request_with_one_fault_is_refused_by_the_first_check(headers: dict[str, str], code: str) -> None:
    with pytest.raises(Rejected) as caught:
        verify(request(**headers), ACCOUNTS, NOW)

    assert caught.value.code == code


@pytest.mark.parametrize("skew", [-30_000, 0, 30_000])
def test_good_request_within_the_window_names_its_account(skew: int) -> None:
    assert verify(request(), ACCOUNTS, NOW + skew).uid == AccountSpec().uid


def test_query_is_verified_unquoted_and_body_byte_for_byte() -> None:
    """The client signs the plain values although the URL carries them quoted."""
    text = "symbol=BTC/USDT&a=b c"
    mine = sign("demo-secret", f"{NOW}GET{PATH}?{text}")

    assert verify(request("GET", "symbol=BTC%2FUSDT&a=b%20c", "", ACCESS_SIGN=mine), ACCOUNTS, NOW).uid
    spaced = Signed("POST", PATH, "", '{"a": 1}', request(body='{"a":1}').headers)
    with pytest.raises(Rejected) as caught:
        verify(spaced, ACCOUNTS, NOW)
    assert caught.value.code == "40009"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"apiKey": "nobody"}, LoginCode.KEY),
        ({"passphrase": "bad"}, LoginCode.PASSPHRASE),
        ({"timestamp": str(NOW // 1000 - 31)}, LoginCode.TIMESTAMP),
        ({"timestamp": None}, LoginCode.TIMESTAMP),
        ({"sign": "bad"}, LoginCode.SIGN),
    ],
)
def test_login_with_one_fault_says_which(changes: dict[str, Any], expected: LoginCode) -> None:
    seconds = str(NOW // 1000)
    good = {
        "apiKey": "demo-key",
        "passphrase": "demo-pass",
        "timestamp": seconds,
        "sign": sign("demo-secret", f"{seconds}GET/user/verify"),
        "url": "leaked by ccxt",
    }

    assert verify_login({**good, **changes}, ACCOUNTS, NOW) is expected
    assert isinstance(verify_login(good, ACCOUNTS, NOW), Account)
