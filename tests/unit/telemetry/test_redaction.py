"""What counts as a secret."""

from __future__ import annotations

import pytest

from omega.telemetry import MASK, Redactor, is_secret_key


@pytest.mark.parametrize(
    "text",
    [
        "MTE0" + "a" * 20 + ".GabcdE." + "x" * 30,
        "https://discord.com/api/webhooks/123/abcDEF-_1",
        "https://discord.com/api/v10/webhooks/123/abcDEF-_1",
        "redis://user:hunter22@host:6379/0",
        "Authorization: Bearer abcdefgh12345",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.abc123def456",
    ],
)
def test_redactor_shape_of_a_token_is_removed(text: str) -> None:
    cleaned = Redactor().text(text)

    assert MASK in cleaned
    assert cleaned != text


@pytest.mark.parametrize(
    "text", ["order o1 filled at 100.5", "redis://host:6379/0", "see https://example.org/a/b", "12:30:45"]
)
def test_redactor_plain_text_stays(text: str) -> None:
    assert Redactor(["abc"]).text(text) == text


def test_redactor_longest_value_wins() -> None:
    assert Redactor(["secret", "secret-long"]).text("a secret-long b") == f"a {MASK} b"


@pytest.mark.parametrize(
    ("key", "secret"),
    [("api_secret", True), ("ACCESS-PASSPHRASE", True), ("token", True), ("bot_token", True), ("lane_tokens", False),
     ("correlation", False), ("kill_key", True), ("key", False), ("keys", False)],
)  # fmt: skip
def test_redactor_telling_keys(key: str, secret: bool) -> None:
    assert is_secret_key(key) is secret
