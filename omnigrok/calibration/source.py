"""The source that simulates a claim, its constants included, as a digest: a row of the calibration
is of that source only.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec, resolve_name
from pathlib import Path

from omnigrok.errors import BadInput
from omnigrok.suite.hooks import module_of
from omnigrok.suite.suite import Suite
from omnigrok.syntax import normalised

HERE = "omnigrok.calibration"
TABLE = "SIMULATIONS"
# A module and a name that it binds.
Place = tuple[str, str]
# The form of an entry is no part of what it simulates.
FORM: Place = (f"{HERE}.simulation", "Simulation")


def simulation_digest(suite: Suite, claim_id: str) -> str:
    """8 hex digits over a claim's entry in ``SIMULATIONS`` and all that it reaches in the package
    of the suite's simulations and in this one.

    Blind to comments, docstrings and layout, to names of modules, and to other claims' simulations.
    The Runs' grid is not part of it.

    Raises:
        BadInput: there is no such entry.
    """
    hook = module_of(suite, "simulations")
    found = simulation_digests(hook) if hook else {}
    if claim_id not in found:
        raise BadInput(f"claim {claim_id} has no entry in a {TABLE} of {hook}")
    return found[claim_id]


def simulation_digests(hook: str, folders: Mapping[str, Path] | None = None) -> dict[str, str]:
    """The digest of each claim's simulation.

    Args:
        hook: module or package whose ``SIMULATIONS``, or those of its modules, have the entries.
        folders: where the sources of the package around ``hook`` and of this package lie; by
            default where they are imported from.
    """
    around = hook.rpartition(".")[0] or hook
    sources = _Sources(folders or {name: _folder(name) for name in (around, HERE)})
    found = {}
    for module in sources.inside(hook):
        table = sources.module(module).bindings.get(TABLE)
        value = table.value if isinstance(table, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Dict):
            for key, entry in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant):
                    found[str(key.value)] = sources.digest(entry, module)
    return found


def _folder(package: str) -> Path:
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise BadInput(f"{package}: its sources cannot be found")
    return Path(spec.origin).parent


@dataclass(frozen=True)
class _Module:
    """Statements by the name that they bind, and what is imported: (module, name), no name for a
    module.
    """

    bindings: dict[str, ast.stmt]
    imports: dict[str, Place]


@dataclass
class _Sources:
    # By package.
    folders: Mapping[str, Path]
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
        # Without the modules' names: moving one changes no curve.
        parts = sorted(f"{name}: {text}" for (_, name), text in reached.items())
        text = "\n".join([normalised(ast.unparse(entry)), *parts])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def inside(self, hook: str) -> Iterator[str]:
        """The modules of a package, or the module."""
        path = self._path(hook)
        if path is None:
            return
        yield hook
        if path.name == "__init__.py":
            yield from sorted(
                f"{hook}.{each.stem}" for each in path.parent.glob("*.py") if each != path
            )

    def module(self, name: str) -> _Module:
        if name not in self.modules:
            path = self._path(name)
            tree = ast.parse(path.read_text(encoding="utf-8") if path else "")
            package = name if path and path.name == "__init__.py" else name.rpartition(".")[0]
            self.modules[name] = _Module(_bindings(tree), self._imports(tree, package))
        return self.modules[name]

    def _path(self, module: str) -> Path | None:
        """The file of a module; None for one of another package."""
        for package, folder in self.folders.items():
            if module == package or module.startswith(f"{package}."):
                parts = module.removeprefix(package).split(".")[1:]
                whole = folder.joinpath(*parts)
                found = (whole / "__init__.py", whole.with_suffix(".py"))
                return next((path for path in found if path.is_file()), None)
        return None

    def _at(self, place: Place) -> tuple[str, frozenset[Place]]:
        if place not in self.places:
            statement = self.module(place[0]).bindings[place[1]]
            self.places[place] = normalised(ast.unparse(statement)), self._uses(statement, place[0])
        return self.places[place]

    def _uses(self, node: ast.AST, module: str) -> frozenset[Place]:
        """Where the names in a piece of source are bound."""
        own = self.module(module)
        found: set[Place] = set()
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                home, name = own.imports.get(each.value.id, ("", "*"))
                if not name:
                    found |= self._bound(home, each.attr)
            elif isinstance(each, ast.Name):
                home, name = own.imports.get(each.id, (module, each.id))
                if name:
                    found |= self._bound(home, name)
        return frozenset(found)

    def _bound(self, module: str, name: str) -> set[Place]:
        """The place where a module's name is bound, there or where the module has it from."""
        found = self.module(module)
        if name in found.bindings:
            return {(module, name)}
        home, inner = found.imports.get(name, ("", ""))
        return self._bound(home, inner) if inner else set()

    def _imports(self, tree: ast.Module, package: str) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for node in tree.body:
            if isinstance(node, ast.Import):
                found |= {each.asname: (each.name, "") for each in node.names if each.asname}
            if isinstance(node, ast.ImportFrom):
                home = resolve_name("." * node.level + (node.module or ""), package)
                for alias in node.names:
                    inner = f"{home}.{alias.name}"
                    place = (inner, "") if self._path(inner) else (home, alias.name)
                    found[alias.asname or alias.name] = place
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
