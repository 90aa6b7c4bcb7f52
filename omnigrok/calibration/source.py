"""The source that simulates a claim, its constants included, as a digest: a row of the calibration
is of that source only.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from omnigrok.errors import BadInput
from omnigrok.syntax import normalised

PACKAGE = "omnigrok.calibration"
# The form of an entry is no part of what it simulates.
FORM = ("simulation", "Simulation")
HERE = Path(__file__).parent
# A module of the package and a name that it binds.
Place = tuple[str, str]


def simulation_digest(claim_id: str) -> str:
    """8 hex digits over a claim's entry in ``SIMULATIONS`` and all that it reaches in this package.

    Blind to comments, docstrings and layout, and to other claims' simulations. The Runs' grid is
    not part of it.

    Raises:
        BadInput: there is no such entry.
    """
    found = simulation_digests()
    if claim_id not in found:
        raise BadInput(f"claim {claim_id} has no entry in a SIMULATIONS of {PACKAGE}.claims")
    return found[claim_id]


def simulation_digests(folder: Path = HERE) -> dict[str, str]:
    """The digest of each claim's simulation, from the sources of this package in ``folder``."""
    package = _Package(folder)
    found = {}
    for path in sorted((folder / "claims").glob("*.py")):
        module = f"claims.{path.stem}"
        table = package.module(module).bindings.get("SIMULATIONS")
        entries = (
            table.value
            if isinstance(table, ast.Assign) and isinstance(table.value, ast.Dict)
            else ast.Dict([], [])
        )
        for key, value in zip(entries.keys, entries.values, strict=True):
            if isinstance(key, ast.Constant):
                found[str(key.value)] = package.digest(value, module)
    return found


@dataclass(frozen=True)
class _Module:
    """Statements by the name that they bind, and what is imported from this package: (module,
    name), no name for a module.
    """

    bindings: dict[str, ast.stmt]
    imports: dict[str, Place]


@dataclass
class _Package:
    folder: Path
    modules: dict[str, _Module] = field(default_factory=dict)
    # Normalised source of a statement, and the places that it uses.
    places: dict[Place, tuple[str, frozenset[Place]]] = field(default_factory=dict)

    def digest(self, entry: ast.expr, module: str) -> str:
        reached: dict[Place, str] = {}
        waiting = {*self._uses(entry, module)} - {FORM}
        while waiting:
            place = waiting.pop()
            reached[place], uses = self._at(place)
            waiting |= {each for each in uses if each not in reached and each != FORM}
        parts = [
            normalised(ast.unparse(entry)),
            *(f"{place}: {text}" for place, text in sorted(reached.items())),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]

    def module(self, name: str) -> _Module:
        if name not in self.modules:
            tree = ast.parse(self._path(name).read_text(encoding="utf-8"))
            self.modules[name] = _Module(_bindings(tree), self._imports(tree))
        return self.modules[name]

    def _path(self, module: str) -> Path:
        return self.folder.joinpath(*module.split(".")).with_suffix(".py")

    def _at(self, place: Place) -> tuple[str, frozenset[Place]]:
        if place not in self.places:
            statement = self.module(place[0]).bindings[place[1]]
            self.places[place] = normalised(ast.unparse(statement)), self._uses(statement, place[0])
        return self.places[place]

    def _uses(self, node: ast.AST, module: str) -> frozenset[Place]:
        """Where the names in a piece of source are bound in this package."""
        found: set[Place] = set()
        own = self.module(module)
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                home, name = own.imports.get(each.value.id, ("", "*"))
                if not name and each.attr in self.module(home).bindings:
                    found.add((home, each.attr))
            elif isinstance(each, ast.Name):
                home, name = own.imports.get(each.id, (module, each.id))
                if name and name in self.module(home).bindings:
                    found.add((home, name))
        return frozenset(found)

    def _imports(self, tree: ast.Module) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
                home = node.module.removeprefix(PACKAGE).lstrip(".")
                for alias in node.names:
                    inner = f"{home}.{alias.name}".lstrip(".")
                    is_module = self._path(inner).exists()
                    found[alias.asname or alias.name] = (
                        (inner, "") if is_module else (home, alias.name)
                    )
        return found


def _bindings(tree: ast.Module) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found |= {
                node.id: statement
                for target in targets
                for node in ast.walk(target)
                if isinstance(node, ast.Name)
            }
    return found
