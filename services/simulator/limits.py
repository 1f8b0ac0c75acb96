"""Token buckets by caller and endpoint, as the venue meters its callers. Asked first by the REST edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

DEFAULT_RATE: Final = 20.0

RATES: Final[dict[str, float]] = {
    "/api/v2/spot/public/coins": 3.0,
    "/api/v2/margin/currencies": 10.0,
    "/api/v2/mix/market/query-position-lever": 10.0,
    "/api/v2/mix/market/fills-history": 10.0,
    "/api/v2/spot/market/fills-history": 10.0,
    "/api/v2/mix/account/accounts": 10.0,
    "/api/v2/mix/account/account": 10.0,
    "/api/v2/mix/account/bill": 10.0,
    "/api/v2/mix/account/set-leverage": 5.0,
    "/api/v2/mix/account/set-margin-mode": 5.0,
    "/api/v2/mix/account/set-position-mode": 5.0,
    "/api/v2/mix/account/set-margin": 5.0,
    "/api/v2/mix/position/all-position": 5.0,
    "/api/v2/mix/position/single-position": 10.0,
    "/api/v2/mix/order/place-order": 10.0,
    "/api/v2/mix/order/place-plan-order": 10.0,
    "/api/v2/mix/order/place-tpsl-order": 10.0,
    "/api/v2/mix/order/batch-place-order": 1.0,
    "/api/v2/mix/order/modify-order": 10.0,
    "/api/v2/mix/order/modify-plan-order": 10.0,
    "/api/v2/mix/order/modify-tpsl-order": 10.0,
    "/api/v2/mix/order/cancel-order": 10.0,
    "/api/v2/mix/order/batch-cancel-orders": 10.0,
    "/api/v2/mix/order/cancel-plan-order": 10.0,
    "/api/v2/mix/order/close-positions": 1.0,
    "/api/v2/mix/order/detail": 10.0,
    "/api/v2/mix/order/orders-pending": 10.0,
    "/api/v2/mix/order/orders-history": 10.0,
    "/api/v2/mix/order/orders-plan-pending": 10.0,
    "/api/v2/mix/order/orders-plan-history": 10.0,
    "/api/v2/mix/order/fills": 10.0,
    "/api/v2/spot/account/assets": 10.0,
    "/api/v2/spot/trade/place-order": 10.0,
    "/api/v2/spot/trade/cancel-order": 10.0,
    "/api/v2/spot/trade/cancel-symbol-order": 5.0,
    "/api/v2/spot/trade/fills": 10.0,
}
"""Calls a second for each endpoint; every other path has `DEFAULT_RATE`."""


@dataclass(slots=True)
class Bucket:
    """One caller's allowance: a burst of `size`, refilled at `rate` a second."""

    rate: float
    size: float
    level: float
    at: float

    def take(self, now: float) -> bool:
        """Take one token; False when the bucket is empty."""
        self.level = min(self.size, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1.0:
            return False
        self.level -= 1.0
        return True


class Limiter:
    """The buckets of every caller. The clock is handed in and is the wall's, never the replay's."""

    def __init__(self, clock: Callable[[], float], *, enabled: bool = True, scale: float = 1.0) -> None:
        self._clock = clock
        self._scale = scale
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self.enabled = enabled

    def allow(self, caller: str, path: str) -> bool:
        """Tell whether this call may pass, and count it."""
        if not self.enabled:
            return True
        now = self._clock()
        bucket = self._buckets.get((caller, path))
        if bucket is None:
            rate = RATES.get(path, DEFAULT_RATE) * self._scale
            bucket = self._buckets[caller, path] = Bucket(rate, max(rate, 1.0), max(rate, 1.0), now)
        return bucket.take(now)
