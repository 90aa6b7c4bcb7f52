"""Modules of other authors: what to say of one that cannot be imported."""

from __future__ import annotations

import os
import sys


def not_found(module: str) -> str:
    """That a module is not found, and where it was looked for.

    Args:
        module: the part of a dotted path that is missing, as ``ModuleNotFoundError.name`` has it.
    """
    around = sys.modules.get(module.rpartition(".")[0])
    places = getattr(around, "__path__", None) or [each or os.getcwd() for each in sys.path]
    return (
        f"cannot import {module}: it is not in {', '.join(map(str, places))}; of the packages next "
        "to the claims folder those count that audit.yaml names under modules"
    )
