"""Experiments that tell the truth: statistics, the ledger of every trial, arms against their controls.

Called by `omega experiment`; back-tests and sweeps write their trials here. Nothing heavy is imported by this package.
"""

from omega.research.trials import Trial, TrialLedger

__all__ = ["Trial", "TrialLedger"]
