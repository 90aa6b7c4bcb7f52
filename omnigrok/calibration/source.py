"""The source that simulates a claim, its constants included, as a digest: a row of the calibration is of that source only."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

from omnigrok.errors import BadInput
from omnigrok.training.fingerprint import normalised

PACKAGE = "omnigrok.calibration"
# The form of an entry is no part of what it simulates.
FORM = ("simulation", "Simulation")
HERE = Path(__file__).parent
# A statement of a module: its place, and the names that it binds are followed from there.
Place = tuple[str, str]


def simulation_digest(claim_id: str, folder: Path = HERE) -> str:
    """8 hex digits over a claim's entry in ``SIMULATIONS`` and all that it reaches in this package.

    Blind to comments, docstrings and layout, and to other claims' simulations. The Runs' grid is not part of it.

    Args:
        folder: with the sources of this package.

    Raises:
        BadInput: no module of ``claims`` has a literal entry for the claim.
    """
    for path in sorted((folder / "claims").glob("*.py")):
        entry = _entry(path, claim_id)
        if entry is not None:
            return _digest(entry, f"claims.{path.stem}", folder)
    raise BadInput(f"claim {claim_id} has no entry in a SIMULATIONS of {folder / 'claims'}")


def _entry(path: Path, claim_id: str) -> ast.expr | None:
    for node in ast.walk(_module(path)):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == claim_id:
                    return value
    return None


def _digest(entry: ast.expr, module: str, folder: Path) -> str:
    reached: dict[Place, str] = {}
    waiting = _uses(entry, module, folder)
    while waiting:
        place = waiting.pop()
        if place in reached or place == FORM:
            continue
        statement = _bindings(folder, place[0])[place[1]]
        reached[place] = normalised(ast.unparse(statement))
        waiting |= _uses(statement, place[0], folder)
    parts = [normalised(ast.unparse(entry)), *(f"{place}: {text}" for place, text in sorted(reached.items()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _uses(node: ast.AST, module: str, folder: Path) -> set[Place]:
    """Where the names in a piece of source are bound in this package."""
    found: set[Place] = set()
    names, imported = _bindings(folder, module), _imports(folder, module)
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            home = imported.get(each.value.id, ("", "*"))
            if home[1] == "" and each.attr in _bindings(folder, home[0]):
                found.add((home[0], each.attr))
        elif isinstance(each, ast.Name):
            home = imported.get(each.id, (module, each.id))
            if home[1] and (home[0] != module or home[1] in names):
                found.add(home)
    return found


def _imports(folder: Path, module: str) -> dict[str, Place]:
    """Names that a module imports from this package: (module, name), with no name for a module."""
    found: dict[str, Place] = {}
    for node in _module(_path(folder, module)).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
            home = node.module.removeprefix(PACKAGE).lstrip(".")
            for alias in node.names:
                inner = f"{home}.{alias.name}".lstrip(".")
                is_module = _path(folder, inner).exists()
                found[alias.asname or alias.name] = (inner, "") if is_module else (home, alias.name)
    return found


def _bindings(folder: Path, module: str) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for statement in _module(_path(folder, module)).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found |= {node.id: statement for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return found


def _path(folder: Path, module: str) -> Path:
    return folder.joinpath(*module.split(".")).with_suffix(".py")


@lru_cache(maxsize=64)
def _module(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
