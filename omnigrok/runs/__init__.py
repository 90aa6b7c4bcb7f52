"""Runs, their curves, and where they are kept."""

from omnigrok.runs.curves import Curves
from omnigrok.runs.run import Run, freeze

__all__ = ["Curves", "Run", "freeze"]
