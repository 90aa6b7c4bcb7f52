"""A claims folder with one toy claim a verdict."""

from toy_audit import recorded, toy

__all__ = ["recorded", "toy"]
