"""The trainer fingerprint: a digest of the source that decides a Run's numbers, blind to comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path

from omnigrok.data import find_task
from omnigrok.errors import BadInput
from omnigrok.models import find_model
from omnigrok.runs.run import Run

# Modules of this package that touch no number: where and how a stack runs, and this file.
_NO_NUMBERS = ("device.py", "fingerprint.py", "graph.py", "__init__.py")


def normalised(source: str) -> str:
    """The syntax tree of a module without docstrings and positions, in the words of Python 3.11 whichever Python reads it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = node.body[1:] or [ast.Pass()]
    # Python 3.12 knows type parameters of every function and class; 3.13 leaves empty fields out. A record is stale for neither.
    whole: dict[str, bool] = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    return ast.dump(tree, **whole).replace(", type_params=[]", "")


def _source_of(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise BadInput(f"module {module} has no source file")
    return Path(spec.origin)


def _imports(source: str) -> set[str]:
    """The data and model modules that a module imports, each as a dotted path."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(("omnigrok.data", "omnigrok.models")):
            found.add(node.module)
            if node.module.count(".") == 1:  # of a package: its modules, or names
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if name.count(".") > 1 and importlib.util.find_spec(name) is not None}


@lru_cache(maxsize=64)
def _digest(task: str, model: str) -> str:
    find_task(task)
    find_model(model)
    parts = {path.name: path.read_text() for path in sorted(Path(__file__).parent.glob("*.py")) if path.name not in _NO_NUMBERS}
    waiting = [task if "." in task else f"omnigrok.data.{task}", model if "." in model else f"omnigrok.models.{model}"]
    while waiting:
        module = waiting.pop()
        if module not in parts:
            parts[module] = _source_of(module).read_text()
            waiting += sorted(_imports(parts[module]))
    text = "\n".join(f"{name}\n{normalised(source)}" for name, source in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(run: Run) -> str:
    """16 hex digits over the trainer and over the data and model modules of this Run, so that a new data set makes no record stale."""
    return _digest(run.task, run.model)
