"""The fault lab: the farm as processes under seeded faults, judged by the venue's own truth. Run by `omega chaos`."""

from omega.chaos.faults import FAULTS, Fault, Kind
from omega.chaos.guards import GUARDS
from omega.chaos.lab import LabOptions, run_seed
from omega.chaos.scenarios import SCENARIOS, Scenario
from omega.chaos.truth import Truth
from omega.chaos.verify import Violation, verify

__all__ = [
    "FAULTS",
    "GUARDS",
    "SCENARIOS",
    "Fault",
    "Kind",
    "LabOptions",
    "Scenario",
    "Truth",
    "Violation",
    "run_seed",
    "verify",
]
