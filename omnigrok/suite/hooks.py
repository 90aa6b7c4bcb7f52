"""What ``audit.yaml`` names as ``module:NAME``: panels, simulations and trials of a suite."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Literal

from omnigrok.errors import BadInput
from omnigrok.outside import not_found
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
        BadInput: the module cannot be imported, or has no such name.
    """
    module = load_module(suite, key)
    if module is None:
        return None
    name = getattr(suite.about, key).partition(":")[2] or key.upper()
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise BadInput(f"{named(suite, key)}: {error}") from error


def load_module(suite: Suite, key: Key) -> ModuleType | None:
    """The module that a hook names; None without the hook.

    Raises:
        BadInput: it cannot be imported.
    """
    path = module_of(suite, key)
    if path is None:
        return None
    try:
        return importlib.import_module(path)
    except Exception as error:  # another author's module may raise anything
        said = f"cannot be imported: {type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError) and error.name and path.startswith(error.name):
            said = not_found(error.name)
        raise BadInput(f"{named(suite, key)}: {said}") from error
