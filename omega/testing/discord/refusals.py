"""How the local Discord says no: an HTTP status, Discord's own code and a text.

Raised by every part, answered by REST.
"""

from typing import Any


class Refusal(Exception):  # noqa: N818 - "Refusal" is the word the protocol's reader looks for
    """Carry Discord's answer to a request that it does not accept."""

    def __init__(self, status: int, code: int, message: str, errors: dict[str, Any] | None = None) -> None:
        super().__init__(f"{status} ({code}): {message}")
        self.status = status
        self.body: dict[str, Any] = {"code": code, "message": message}
        if errors:
            self.body["errors"] = errors


class ImpossibleActError(AssertionError):
    """A human cannot do this in a Discord client: the test asked for a step that users never see."""


def invalid_form(problems: list[tuple[str, str]]) -> Refusal:
    """Build the 50035 answer from (field, what is wrong) pairs."""
    errors: dict[str, Any] = {}
    for field, text in problems:
        errors.setdefault(field, {"_errors": []})["_errors"].append({"code": "INVALID", "message": text})
    return Refusal(400, 50035, "Invalid Form Body", errors)


def unknown(what: str, code: int) -> Refusal:
    """Build a 404 for a thing that does not exist (any more)."""
    return Refusal(404, code, f"Unknown {what}")
