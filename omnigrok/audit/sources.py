"""The code and the files that a verdict on given curves depends on, as digests."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy
import torch

import omnigrok
from omnigrok.suite.suite import Suite

HERE = Path(omnigrok.__file__).parent
# What people see of verdicts, and what no check can reach: the rooms above this one.
ABOVE = ("cli", "plugin", "report", "bench", "calibration", "forecast")


@dataclass(frozen=True)
class Sources:
    """Some files.

    Args:
        digest: of their names and contents, 32 hex digits.
        changed: when the last of them changed, in seconds since 1970.
    """

    digest: str
    changed: float


def of_files(root: Path, paths: Iterable[Path]) -> Sources:
    """Files below a folder, in the order of their names.

    Raises:
        OSError: one cannot be read.
    """
    total, changed = hashlib.sha256(), 0.0
    for path in sorted(paths):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
        changed = max(changed, path.stat().st_mtime)
    return Sources(total.hexdigest()[:32], changed)


@lru_cache(maxsize=1)
def of_package() -> Sources:
    """This package's own code that a check may reach: all but the rooms above the audit."""
    paths = (path for path in HERE.rglob("*.py") if path.relative_to(HERE).parts[0] not in ABOVE)
    return of_files(HERE, paths)


def libraries() -> dict[str, str]:
    """The versions of what computes."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__,
        "pyarrow": pa.__version__,
    }


def of_claims(suite: Suite) -> Sources:
    """The YAML files of a claims folder and all Python below it: a check may ask the checks and the
    criteria of other figures.

    Raises:
        OSError: a file cannot be read.
    """
    folder = suite.folder
    return of_files(folder, {*folder.glob("*.yaml"), *folder.rglob("*.py")})


def of_imports(suite: Suite) -> dict[str, Sources | str]:
    """The packages from outside that a claims folder uses, by name: those that its Python imports,
    and those that have its data sets and architectures. An installed one that states its version
    is known by that, any other by its sources.

    Raises:
        OSError, SyntaxError, ValueError: a file cannot be read.
        OmnigrokError: a file of the claims folder is not valid.
    """
    names = {*(suite.about.modules or ()), *_imported(suite.folder), *_modules(suite)}
    ours = {"omnigrok", *sys.stdlib_module_names}
    return {name: _package(name) for name in sorted(names - ours)}


def _imported(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def _modules(suite: Suite) -> Iterator[str]:
    for figure in suite.figures:
        for experiment in figure.experiments.values():
            for text in _texts(experiment.model_dump()):
                top, dot, _ = text.partition(".")
                if dot and top.isidentifier():
                    yield top


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, list | tuple):
        yield from (text for each in value for text in _texts(each))


@lru_cache(maxsize=64)
def _package(name: str) -> Sources | str:
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # __main__ and the like
        return "unknown"
    origin = spec.origin if spec is not None else None
    if spec is None or (origin is None and not spec.submodule_search_locations):
        return "missing"
    folders = [Path(each) for each in spec.submodule_search_locations or ()]
    version = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(version, str) and _is_installed(folders or [Path(str(origin))]):
        return version
    if not folders:
        path = Path(str(origin))
        return of_files(path.parent, [path]) if path.suffix == ".py" else "built in"
    (folder, *_) = folders
    return of_files(folder, folder.rglob("*.py"))


def _is_installed(paths: Iterable[Path]) -> bool:
    places = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    return all(places & set(path.resolve().parents) for path in paths)
