"""Whether an audit judged all that was asked for: one that was interrupted, or ran out of its
budget, says so wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from omnigrok.audit.document import ItemRow
from omnigrok.plugin.node_id import parse


@dataclass
class Completeness:
    """Counts the items (a claim or its control, under one protocol) of one audit.

    Args:
        expected: node ids of the items that were selected.
        judged: those with an outcome.
        cut: those among them that were not trained because the ``--budget`` was spent.
        folders: that node ids may be relative to.
    """

    folders: tuple[Path, ...] = ()
    expected: set[str] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)

    def expect(self, items: Iterable[str]) -> None:
        """Items that were selected; of several workers each names all."""
        self.expected.update(item for item in items if parse(item, self.folders))

    def count(self, item: str, outcome: ItemRow) -> None:
        """An item has its outcome."""
        self.judged.add(item)
        if outcome.unfinished:
            self.cut.add(item)

    @property
    def stopped(self) -> bool:
        """Whether items are missing; those without training only because of the ``--budget`` are
        not.
        """
        return bool(self.expected - self.judged)

    @property
    def partial(self) -> str:
        """What is missing, in one line; "" where nothing is."""
        whole = len(self.expected | self.judged)
        missing = self.expected - self.judged
        parts = []
        if missing:
            parts.append(
                f"it was stopped when {len(self.judged)} of {whole} claims and controls were judged"
            )
        if self.cut:
            parts.append(
                f"the --budget was spent before {len(self.cut)} of {whole} claims and controls had "
                "their training"
            )
        return "; ".join(parts)
