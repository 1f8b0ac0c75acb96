"""Analyses as one picture, drawn for the width of a phone, dark or light. Called by CLI and service."""

from omega.analytics.charts.page import THEMES, draw, figure_of

__all__ = ["THEMES", "draw", "figure_of"]
