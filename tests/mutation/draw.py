"""Draws the mutants that a session of Cosmic Ray tries: the others are skipped.

``python tests/mutation/draw.py SESSION --count 300 --seed 20261130``. Changes in annotations are
no mutants: nothing evaluates them.
"""

from __future__ import annotations

import argparse
import ast
import random
from functools import cache
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, WorkerOutcome, WorkResult


@cache
def annotations(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Beginnings and ends of a file's annotations."""
    nodes: list[ast.expr] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.AnnAssign) or (isinstance(node, ast.arg) and node.annotation):
            nodes.append(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns:
            nodes.append(node.returns)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in nodes
    ]


def evaluated(mutation: MutationSpec) -> bool:
    """Whether a mutation changes what is evaluated."""
    return not any(
        begin <= tuple(mutation.start_pos) and tuple(mutation.end_pos) <= end
        for begin, end in annotations(mutation.module_path)
    )


def draw(session: WorkDB, count: int, seed: int) -> tuple[int, int]:
    """Skip all but ``count`` of a session's mutants; how many are left, and of how many."""
    pending = sorted(
        session.pending_work_items,
        key=lambda item: (
            str(item.mutations[0].module_path),
            item.mutations[0].operator_name,
            item.mutations[0].occurrence,
        ),
    )
    mutants = [item for item in pending if all(map(evaluated, item.mutations))]
    drawn = random.Random(seed).sample(mutants, min(count, len(mutants)))  # noqa: S311
    chosen = {item.job_id for item in drawn}
    for item in pending:
        if item.job_id not in chosen:
            session.set_result(
                item.job_id, WorkResult(output="not drawn", worker_outcome=WorkerOutcome.SKIPPED)
            )
    return len(chosen), len(mutants)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20261130)
    options = parser.parse_args()
    with use_db(str(options.session)) as opened:
        left, among = draw(opened, options.count, options.seed)
    print(f"{left} of {among} mutants drawn, seed {options.seed}")
