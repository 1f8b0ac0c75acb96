"""Logs, metrics and redaction, the same in every service. Set up by `omega.runtime.run`."""

from omega.redaction import MASK, Redactor, is_secret_key, secrets_of
from omega.telemetry.catalogue import ALERTS, METRICS, RECORDINGS, Alert, Kind, Metric, Recording, Severity
from omega.telemetry.logging import Levels, bind_contextvars, bound_contextvars, configure, get_logger
from omega.telemetry.metrics import CONTENT_TYPE, Metrics

__all__ = [
    "ALERTS",
    "CONTENT_TYPE",
    "MASK",
    "METRICS",
    "RECORDINGS",
    "Alert",
    "Kind",
    "Levels",
    "Metric",
    "Metrics",
    "Recording",
    "Redactor",
    "Severity",
    "bind_contextvars",
    "bound_contextvars",
    "configure",
    "get_logger",
    "is_secret_key",
    "secrets_of",
]
