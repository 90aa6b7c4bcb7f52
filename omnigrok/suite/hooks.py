"""What ``audit.yaml`` names as ``module:NAME``: panels, simulations and trials of a suite."""

from __future__ import annotations

import importlib
from typing import Any, Literal

from omnigrok.errors import BadInput
from omnigrok.suite.about import FILE
from omnigrok.suite.suite import Suite

Key = Literal["panels", "simulations", "trials"]


def named(suite: Suite, key: Key) -> str:
    """The hook as ``audit.yaml`` has it, with its file and key, for messages."""
    return f"{suite.folder / FILE}: {key}: {getattr(suite.about, key)}"


def module_of(suite: Suite, key: Key) -> str | None:
    """The module that a hook names; None without the hook."""
    hook: str | None = getattr(suite.about, key)
    return None if hook is None else hook.partition(":")[0]


def load_hook(suite: Suite, key: Key) -> Any:
    """The object that a hook names, by default the module's constant of the key's name in capitals;
    None without the hook.

    Raises:
        BadInput: it cannot be imported.
    """
    hook: str | None = getattr(suite.about, key)
    if hook is None:
        return None
    module, _, name = hook.partition(":")
    try:
        return getattr(importlib.import_module(module), name or key.upper())
    except Exception as error:  # another author's module may raise anything
        kind = (
            "" if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: "
        )
        raise BadInput(f"{named(suite, key)}: cannot be imported: {kind}{error}") from error
