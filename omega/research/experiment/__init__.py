"""Experiments: a registered plan, arms as patches on a bot, walk-forward cells, placebos, one judge.

Called by `omega experiment`.
"""

from omega.research.experiment.cells import Cell, Outcome
from omega.research.experiment.findings import Judgement, Trials, Verdict
from omega.research.experiment.judge import judge
from omega.research.experiment.plan import Arm, Plan
from omega.research.experiment.reading import read_plan

__all__ = ["Arm", "Cell", "Judgement", "Outcome", "Plan", "Trials", "Verdict", "judge", "read_plan"]
