"""What a verdict was fixed by, the claim's YAML entry and the source of its check, and whether they
changed since evidence was recorded.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from omnigrok.errors import BadInput
from omnigrok.evidence.find import meta_of
from omnigrok.suite.schema import Claim, Figure
from omnigrok.syntax import normalised


def check_file(folder: Path, figure: str) -> Path:
    """The test module next to a figure's YAML file."""
    return folder / f"test_{figure}.py"


def check_digest(path: Path, claim_id: str) -> str:
    """16 hex digits over the check of a claim and all that it reaches in its module; blind to
    comments, docstrings and other checks.

    What it calls in other modules counts by its name alone: the statistics, and the checks of other
    figures that a conclusion asks.

    Raises:
        BadInput: the module cannot be read.
    """
    try:
        source = path.read_text()
        return _digest(source, claim_id)
    except (
        OSError,
        ValueError,
        SyntaxError,
    ) as error:  # UnicodeDecodeError and null bytes are ValueErrors
        raise BadInput(f"{path}: the check of {claim_id} cannot be read: {error}") from error


@lru_cache(maxsize=256)
def _digest(source: str, claim_id: str) -> str:
    tree = ast.parse(source)
    owners = {name: statement for statement in tree.body for name in _defines(statement)}
    marked = [
        statement
        for statement in tree.body
        if isinstance(statement, ast.FunctionDef) and _is_check_of(statement, claim_id)
    ]
    # A check that is marked in some other way: all of the module then.
    waiting: list[ast.stmt] = [*marked]
    reached: set[ast.stmt] = set(marked or tree.body)
    used: set[str] = set()
    while waiting:
        for node in ast.walk(waiting.pop()):
            if isinstance(node, ast.Name):
                used.add(node.id)
                owner = owners.get(node.id)
                if owner is not None and owner not in reached:
                    reached.add(owner)
                    waiting.append(owner)
    imports = {
        line
        for statement in reached
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for line in _imported(statement, used if marked else None)
    }
    text = "\n".join(
        normalised(ast.unparse(statement))
        for statement in tree.body  # in the order of the module
        if statement in reached and not isinstance(statement, ast.Import | ast.ImportFrom)
    )
    return hashlib.sha256("\n".join([*sorted(imports), text]).encode()).hexdigest()[:16]


def _imported(statement: ast.Import | ast.ImportFrom, used: set[str] | None) -> Iterator[str]:
    """A line for each imported name that is used. Where in this package a name is defined is
    left out: modules move.
    """
    home = statement.module or "" if isinstance(statement, ast.ImportFrom) else ""
    if home.partition(".")[0] == "omnigrok":
        home = "omnigrok"
    for alias in statement.names:
        bound = alias.asname or alias.name.partition(".")[0]
        if used is None or bound in used:
            yield f"{home} {alias.name} {bound}"


def _defines(statement: ast.stmt) -> set[str]:
    """The names that a statement of a module binds there."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in statement.names}
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _is_check_of(function: ast.FunctionDef, claim_id: str) -> bool:
    calls = (decorator for decorator in function.decorator_list if isinstance(decorator, ast.Call))
    return any(
        isinstance(value, ast.Constant) and value.value == claim_id
        for call in calls
        for value in call.args
    )


def recorded_criteria(folder: Path, readers: Mapping[str, Figure]) -> dict[str, dict[str, str]]:
    """What evidence keeps of the claims that read it, given their figures by claim id: digests of
    YAML entries and of checks.

    Raises:
        BadInput: a check cannot be read.
    """
    return {
        "criteria": {
            claim_id: figure.claim(claim_id).digest for claim_id, figure in readers.items()
        },
        "checks": {
            claim_id: check_digest(check_file(folder, figure.figure), claim_id)
            for claim_id, figure in readers.items()
        },
    }


def changes(meta: Mapping[str, Any], folder: Path, figure: str, claim: Claim) -> tuple[str, ...]:
    """Which of "YAML entry" and "check" differ from those that stood when evidence with this
    ``meta`` was recorded. An entry differs if its wording, a reading or its criterion does.

    What the evidence does not record counts as unchanged: older files keep no digests of checks.

    Raises:
        BadInput: the check cannot be read.
    """
    now = {"criteria": claim.digest, "checks": check_digest(check_file(folder, figure), claim.id)}
    words = {"criteria": "YAML entry", "checks": "check"}
    then = {key: meta.get(key, {}) for key in now}
    return tuple(
        words[key]
        for key, digest in now.items()
        if not isinstance(then[key], dict) or then[key].get(claim.id, digest) != digest
    )


def changed_since(
    folder: Path, experiment: str, protocol: str, figure: str, claim: Claim
) -> tuple[str, ...]:
    """Which of a claim's "YAML entry" and "check" differ from those that stood when its evidence
    was recorded.

    Raises:
        BadInput: the check cannot be read.
        EvidenceError: the file is damaged.
    """
    meta = meta_of(folder, experiment, protocol)
    return () if meta is None else changes(meta, folder, figure, claim)
