"""A result as a page to look at and as a picture to post. Called by `omega backtest` and by whoever reports a run."""

from omega.backtest.report.cautions import cautions
from omega.backtest.report.page import document, page, write_html
from omega.backtest.report.picture import png, write_png
from omega.backtest.report.story import headline, story
from omega.backtest.report.words import GROUPS, WORDS, Better, Unit, Word, written

__all__ = [
    "GROUPS",
    "WORDS",
    "Better",
    "Unit",
    "Word",
    "cautions",
    "document",
    "headline",
    "page",
    "png",
    "story",
    "write_html",
    "write_png",
    "written",
]
