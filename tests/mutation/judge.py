"""The tests that judge a mutant: of the file that differs from git's, those that name it.

``python tests/mutation/judge.py [FILE]`` runs every test file that imports the module, or one of
its public names through its package, until one fails. A module that none imports is judged by the
tests of the commands. Files that start a browser, a cluster or whole audits are left out, and so
are tests that reach the module on longer ways: the score is a lower bound.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Folders whose tests run audits, and files that take as long.
AUDITS = ("plugin", "cli", "execution", "bench", "forecast")
LONG = ("test_browser", "test_ray", "test_planted_faults", "test_wheel", "test_forecast")
COMMANDS = ("cli/test_cli.py", "evidence/test_verify.py", "plugin/test_replay.py")


def public_names(source: str) -> set[str]:
    """Names that a module defines at its top level and that do not begin with an underscore."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(each.id for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def imports(source: str, module: str, names: set[str]) -> bool:
    """Whether a source imports a module, or one of these names from the module's package."""
    package, _, stem = module.rpartition(".")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            wanted = {alias.name for alias in node.names}
            if node.module == module or (node.module == package and wanted & (names | {stem})):
                return True
        elif isinstance(node, ast.Import) and any(alias.name == module for alias in node.names):
            return True
    return False


def judges(file: Path) -> list[Path]:
    """Test files that import the module of a source file, those named after it first."""
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    original = subprocess.run(
        ["git", "show", f"HEAD:{file.relative_to(ROOT).as_posix()}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = public_names(original)
    found = [
        test
        for test in sorted((ROOT / "tests").rglob("test_*.py"))
        if test.parent.name not in AUDITS
        and not test.stem.startswith(LONG)
        and imports(test.read_text("utf-8"), module, names)
    ]
    if not found:
        return [ROOT / "tests" / name for name in COMMANDS]
    return sorted(found, key=lambda test: file.stem not in test.stem)


def changed() -> Path:
    """The one source file that differs from git's.

    Raises:
        SystemExit: there is not exactly one.
    """
    files = subprocess.run(
        ["git", "diff", "--name-only", "HEAD", "--", "omnigrok"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if len(files) != 1:
        raise SystemExit(f"one changed file is expected under omnigrok/, found {files}")
    return ROOT / files[0]


if __name__ == "__main__":
    file = (ROOT / sys.argv[1]) if sys.argv[1:] else changed()
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # this copy, not the installed one
    judged = subprocess.run(
        [*command, *map(str, judges(file))], cwd=ROOT, env=environment, check=False
    )
    raise SystemExit(judged.returncode)
