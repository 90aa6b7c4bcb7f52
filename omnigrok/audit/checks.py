"""The check functions of a claims folder, found without pytest."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from omnigrok.audit.case import Case
from omnigrok.errors import BadInput

Check = Callable[[Case], None]


@lru_cache(maxsize=64)
def check_of(folder: Path, figure: str, claim_id: str) -> Check:
    """The check of a claim: the function marked ``@claim(claim_id)``, next to the figure's YAML.

    Raises:
        BadInput: there is none.
    """
    path = (folder / f"test_{figure}.py").resolve()
    name = f"omnigrok_check_{figure}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.exists():
        raise BadInput(
            f"{path}: cannot be read; a figure's checks are in test_NAME.py next to its NAME.yaml"
        )
    module = sys.modules.get(name)
    if module is None or getattr(module, "__file__", None) != str(path):
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    for value in vars(module).values():
        for mark in getattr(value, "pytestmark", ()):
            if mark.name == "claim" and mark.args == (claim_id,):
                return value  # type: ignore[no-any-return]
    raise BadInput(f"{path}: no check is marked @claim({claim_id!r})")
