"""The table of planted faults: what each of ``planted.py`` does, and the claims that
``test_planted_faults.py`` says notice it.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def _assigned(tree: ast.Module, name: str) -> Any:
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    )
    return value


def descriptions(folder: Path = FOLDER) -> dict[str, str]:
    """fault to the docstring of its function.

    Raises:
        ValueError: a fault's function has no docstring.
    """
    tree = ast.parse((folder / "planted.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    planted = _assigned(tree, "FAULTS")
    found = {}
    for key, value in zip(planted.keys, planted.values, strict=True):
        text = ast.get_docstring(functions[value.id])
        if not text:
            raise ValueError(f"without a docstring: {value.id} in planted.py")
        found[ast.literal_eval(key)] = " ".join(text.split())
    return found


def noticed(folder: Path = FOLDER) -> dict[str, tuple[tuple[str, ...], str]]:
    """fault to the claims that notice it, and the verdict they then have."""
    tree = ast.parse((folder / "test_planted_faults.py").read_text(encoding="utf-8"))
    refutes: dict[str, tuple[str, ...]] = ast.literal_eval(_assigned(tree, "REFUTES"))
    errors: dict[str, tuple[str, str]] = ast.literal_eval(_assigned(tree, "ERRORS"))
    found = {fault: (claims, "REFUTED or INCONCLUSIVE") for fault, claims in refutes.items()}
    return found | {
        fault: ((claim,), f"ERROR: ... {message} ...") for fault, (claim, message) in errors.items()
    }


def planted_table(folder: Path = FOLDER) -> str:
    """Markdown: one row a fault.

    Raises:
        ValueError: nothing notices a fault, or a test names one that is not planted.
    """
    what, by = descriptions(folder), noticed(folder)
    if set(what) != set(by):
        raise ValueError(
            f"planted, or noticed, but not both: {', '.join(sorted(set(what) ^ set(by)))}"
        )
    lines = [
        "| planted fault | what it does | REPRODUCED without it | with it |",
        "|---|---|---|---|",
    ]
    for fault, text in what.items():
        claims, verdict = by[fault]
        lines.append(f"| {fault} | {text} | {', '.join(claims)} | {verdict} |")
    return "\n".join(lines) + "\n"
