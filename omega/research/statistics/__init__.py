"""The statistics of experiments: pure functions over arrays, every generator passed in. Called by the judge."""

from omega.research.statistics.bandit import (
    Limits,
    Rewards,
    step_towards,
    thompson_shares,
    ucb_shares,
    within_limits,
)
from omega.research.statistics.bootstrap import Blocks, block_length, draw_blocks, resampled_means, resampled_rows
from omega.research.statistics.compare import Comparison, Direction, compare
from omega.research.statistics.measures import MEASURES, Measure, measure
from omega.research.statistics.multiple import benjamini_hochberg, benjamini_yekutieli
from omega.research.statistics.overfitting import Overfitting, overfitting
from omega.research.statistics.placebo import random_shifts, rank_p, shifted
from omega.research.statistics.power import smallest_detectable, smallest_ranked
from omega.research.statistics.sequential import Sequence, always_valid_p, bounded_sequence, mean_sequence
from omega.research.statistics.sharpe import (
    Shape,
    deflated_sharpe,
    expected_maximum,
    least_record,
    probabilistic_sharpe,
    shape_of,
)
from omega.research.statistics.superiority import Superiority, superiority

__all__ = [
    "MEASURES",
    "Blocks",
    "Comparison",
    "Direction",
    "Limits",
    "Measure",
    "Overfitting",
    "Rewards",
    "Sequence",
    "Shape",
    "Superiority",
    "always_valid_p",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "block_length",
    "bounded_sequence",
    "compare",
    "deflated_sharpe",
    "draw_blocks",
    "expected_maximum",
    "least_record",
    "mean_sequence",
    "measure",
    "overfitting",
    "probabilistic_sharpe",
    "random_shifts",
    "rank_p",
    "resampled_means",
    "resampled_rows",
    "shape_of",
    "shifted",
    "smallest_detectable",
    "smallest_ranked",
    "step_towards",
    "superiority",
    "thompson_shares",
    "ucb_shares",
    "within_limits",
]
