"""What a Run was trained by, as records name it: ``trainer 1, mnist 1, mlp 1``.

Code of this package is known by versions, which are raised when numbers change
(``omnigrok.training.version``); no source of it is read. Modules from outside are known by a digest
of their whole top-level package, since versions are not raised there. Libraries that a data set or
an architecture declares in ``LIBRARIES`` (names of distributions) follow their module:
``qm9 1 with rdkit 2025.9.1``.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import cast

from omnigrok.data import find_task
from omnigrok.errors import BadInput
from omnigrok.models import find_model
from omnigrok.run import Run
from omnigrok.syntax import normalised
from omnigrok.training.version import VERSION

HERE = __name__.partition(".")[0]
# What an evidence file accepts as a name.
LONGEST = 200


def identity(run: Run) -> str:
    """The trainer, data set and architecture of a Run with their versions or digests; at most 200
    characters.

    Raises:
        BadInput: there is no such data set or architecture, or its sources cannot be read.
    """
    return _identity(run.task, run.model)


def versions(run: Run) -> dict[str, int]:
    """The versions of the trainer and of this package's data set and architecture, by name.

    Raises:
        BadInput: there is no such data set or architecture.
    """
    parts = {run.task: _module(find_task(run.task)), run.model: _module(find_model(run.model))}
    return {
        "trainer": VERSION,
        **{name: int(module.VERSION) for name, module in parts.items() if _is_ours(module)},
    }


# Once a process: what it has imported does not change when a file does.
@lru_cache(maxsize=64)
def _identity(task: str, model: str) -> str:
    parts = [
        f"trainer {VERSION}",
        _part(_module(find_task(task))),
        _part(_module(find_model(model))),
    ]
    text = ", ".join(parts)
    return (
        text
        if len(text) <= LONGEST
        else f"trainer {VERSION}, {hashlib.sha256(text.encode()).hexdigest()}"
    )


def _module(found: object) -> ModuleType:
    return cast("ModuleType", found)


def _is_ours(module: ModuleType) -> bool:
    return module.__name__.startswith(f"{HERE}.")


def _part(module: ModuleType) -> str:
    if _is_ours(module):
        text = f"{module.__name__.rpartition('.')[2]} {module.VERSION}"
    else:
        package = module.__name__.partition(".")[0]
        text = f"{package} {_digest(package)}"
    libraries = [f"{name} {_installed(name)}" for name in getattr(module, "LIBRARIES", ())]
    return text + (f" with {' and '.join(libraries)}" if libraries else "")


def _installed(library: str) -> str:
    """The version of a library; without it the Runs that need it cannot be trained, but can be
    read.
    """
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _digest(package: str) -> str:
    """16 hex digits over all Python sources of a top-level package, or over the file of a top-level
    module.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not (spec.origin or spec.submodule_search_locations):
        raise BadInput(f"module {package} has no source file")
    files: list[tuple[str, Path]] = []
    for folder in map(Path, spec.submodule_search_locations or ()):
        files += [(path.relative_to(folder).as_posix(), path) for path in folder.rglob("*.py")]
    if not files and spec.origin:
        files.append((package, Path(spec.origin)))
    whole = hashlib.sha256()
    for name, path in sorted(files):
        whole.update(f"{name}\0{_content(path)}\0".encode())
    return whole.hexdigest()[:16]


def _content(path: Path) -> str:
    """A source without comments, docstrings and layout; as it stands where this Python cannot parse
    it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    try:
        return normalised(data.decode())
    except (SyntaxError, ValueError, RecursionError):
        return hashlib.sha256(data).hexdigest()
