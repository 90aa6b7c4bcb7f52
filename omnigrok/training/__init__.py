"""Stacked training: many Runs of one shape as one model with a leading replica axis."""

from omnigrok.training.stack import Stack, train
from omnigrok.training.state import State

__all__ = ["Stack", "State", "train"]
