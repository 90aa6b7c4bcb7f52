"""The table of faults in docs/faults.md, from the tests that bear the mark ``fault(name)``: what
happens is the docstring of the first of them.

python tests/faults/fault_table.py                        print it, and the tables of planted faults
python tests/faults/fault_table.py --into docs/faults.md  put them between the markers of a file
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fault_matrix import RECORD, matrix_table
from planted_table import planted_table

from omnigrok.errors import BadInput
from omnigrok.report.markers import GeneratedPart, insert_all

TESTS = Path(__file__).parents[1]
MARKERS, PLANTED, MATRIX = "faults", "planted", "matrix"
# In the order of the table. A test whose mark names another fault is an error, as is a fault
# without a test.
FAULTS = (
    "SIGINT (Ctrl-C)",
    "SIGTERM",
    "SIGKILL of an audit",
    "SIGKILL at random moments",
    "SIGKILL while writing",
    "power loss while a result is written",
    "power loss while the log is copied into the file",
    "a disk that loses sectors",
    "a corrupt page in the store",
    "the disk is full",
    "a limit on the size of files",
    "a read-only store or folder",
    "two machines on one store",
    "a store on a network file system",
    "the clock jumps",
    "a worker crashes (xdist)",
    "SIGKILL of an actor, or of the driver, of a Ray cluster",
    "CUDA out of memory",
    "a run diverges (NaN)",
)


@dataclass(frozen=True)
class Marked:
    """One test of a fault."""

    fault: str
    path: str
    name: str
    what: str


def marked(folder: Path = TESTS) -> Iterator[Marked]:
    """Every test that bears the mark, by file and place in it."""
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                for fault in _faults(node):
                    name = path.relative_to(folder.parent).as_posix()
                    yield Marked(
                        fault, name, node.name, " ".join((ast.get_docstring(node) or "").split())
                    )


def _faults(node: ast.FunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
            yield ast.literal_eval(decorator.args[0])


def table(tests: list[Marked]) -> str:
    """Markdown: one row a fault.

    Raises:
        ValueError: a fault has no test, a test names no fault of the list, or has no docstring.
    """
    unknown = sorted({test.fault for test in tests} - set(FAULTS))
    if unknown:
        raise ValueError(f"no fault of the list: {', '.join(unknown)}")
    silent = [f"{test.path}::{test.name}" for test in tests if not test.what]
    if silent:
        raise ValueError(f"without a docstring: {', '.join(silent)}")
    lines = ["| fault | what happens | test |", "|---|---|---|"]
    for fault in FAULTS:
        found = [test for test in tests if test.fault == fault]
        if not found:
            raise ValueError(f"no test of: {fault}")
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        lines.append(f"| {fault} | {found[0].what} | `{found[0].path}::{found[0].name}`{more} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="The table of faults, from the tests.")
    parser.add_argument("--into", type=Path, help="put it between the markers of this file")
    target = parser.parse_args().into
    try:
        texts = table(list(marked())), planted_table(), matrix_table(json.loads(RECORD.read_text()))
        if target is None:
            print(*texts, sep="\n", end="")
        else:
            names = (MARKERS, PLANTED, MATRIX)
            parts = [GeneratedPart(*each) for each in zip(names, texts, strict=True)]
            insert_all(target, parts)
    except (BadInput, ValueError) as error:
        print(f"fault_table.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
