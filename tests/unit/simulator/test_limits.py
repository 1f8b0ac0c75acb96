"""Token buckets: a burst, then the rate, each caller and endpoint by itself."""

from __future__ import annotations

from services.simulator.limits import DEFAULT_RATE, RATES, Limiter

PLACE = "/api/v2/mix/order/place-order"


def test_bucket_gives_a_burst_then_the_rate() -> None:
    now = [0.0]
    limiter = Limiter(lambda: now[0])

    first = [limiter.allow("a", PLACE) for _ in range(15)]
    now[0] = 0.5

    assert first.count(True) == RATES[PLACE] == 10
    assert [limiter.allow("a", PLACE) for _ in range(6)].count(True) == 5


def test_callers_and_paths_have_buckets_of_their_own() -> None:
    limiter = Limiter(lambda: 0.0)
    for _ in range(10):
        limiter.allow("a", PLACE)

    assert not limiter.allow("a", PLACE)
    assert limiter.allow("b", PLACE)
    assert [limiter.allow("a", "/other") for _ in range(30)].count(True) == DEFAULT_RATE


def test_disabled_limiter_allows_everything() -> None:
    limiter = Limiter(lambda: 0.0, enabled=False)

    assert all(limiter.allow("a", PLACE) for _ in range(100))
