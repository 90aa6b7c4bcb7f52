"""The score of a session of Cosmic Ray: ``python tests/mutation/score.py SESSION``, in Markdown.

With ``--survivors`` the mutants that no test noticed, as diffs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import TestOutcome, WorkItem, WorkResult
from scipy.stats import binomtest

Tried = list[tuple[WorkItem, WorkResult]]


def room(item: WorkItem) -> str:
    """The folder of what a mutant changes."""
    return item.mutations[0].module_path.parent.as_posix()


def killed(result: WorkResult) -> bool:
    """Whether a test noticed the mutant; one that cannot be imported, or does not end, is too."""
    return result.test_outcome in (TestOutcome.KILLED, TestOutcome.INCOMPETENT)


def table(tried: Tried) -> Iterable[str]:
    """One row a room, and one for all."""
    yield "| folder | mutants | killed | score [95 %] |"
    yield "|---|---:|---:|---|"
    total = Counter(room(item) for item, _ in tried)
    hits = Counter(room(item) for item, result in tried if killed(result))
    for name in sorted(total):
        yield _line(f"`{name}`", hits[name], total[name])
    yield _line("all", hits.total(), total.total())


def _line(name: str, hits: int, of: int) -> str:
    interval = binomtest(hits, of).proportion_ci(method="exact")
    return f"| {name} | {of} | {hits} | {hits / of:.0%} [{interval.low:.0%}, {interval.high:.0%}] |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session", type=Path)
    parser.add_argument("--survivors", action="store_true")
    options = parser.parse_args()
    with use_db(str(options.session)) as session:
        items = {item.job_id: item for item in session.work_items}
        tried = [
            (items[job], result)
            for job, result in session.results
            if result.test_outcome is not None
        ]
        left = len(session.pending_work_items)
    if options.survivors:
        for item, result in tried:
            if not killed(result):
                print(f"{item.mutations[0].definition_name}\n{result.diff}\n")
        return
    print("\n".join(table(tried)))
    if left:
        print(f"\n{left} drawn mutants have not been tried.")


if __name__ == "__main__":
    main()
