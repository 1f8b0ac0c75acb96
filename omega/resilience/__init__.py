"""What keeps calls to others in bounds: breakers, rate lanes, retries of reads, deadlines, ends. Used by the edges."""

from omega.resilience.breaker import Breakers, BreakerState, CircuitBreaker
from omega.resilience.deadline import check_deadline, left_s, within
from omega.resilience.lanes import Lane, RateLanes
from omega.resilience.retry import retry_read
from omega.tasks import ended, finished

__all__ = [
    "BreakerState",
    "Breakers",
    "CircuitBreaker",
    "Lane",
    "RateLanes",
    "check_deadline",
    "ended",
    "finished",
    "left_s",
    "retry_read",
    "within",
]
