"""Which finding of one protocol, or of one audit, asks what a finding of another asks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omnigrok.audit.document import FindingPart


def plain_name(name: str) -> str:
    """Without the protocol: each names its own column of accuracies in the finding."""
    return re.sub(r"\bacc_[a-z]+", "acc", name)


def general_name(name: str) -> str:
    """What is asked, without the size from which the data allow it to be asked."""
    return re.sub(r"\bfrom N = [0-9]+", "from N", plain_name(name))


def aligned(rows: Sequence[Sequence[FindingPart]]) -> list[list[FindingPart | None]]:
    """Lines of findings that ask the same: by equal names, and of the rest by equal general names,
    in their order. Every finding is in one line.

    Args:
        rows: findings of several protocols, or audits.

    Returns:
        Lines with an entry for each row, None where it asks nothing like it.
    """
    lines: list[list[FindingPart | None]] = []
    for place, findings in enumerate(rows):
        waiting = list(findings)
        for words in (str, general_name):
            left = []
            for each in waiting:
                for line in lines:
                    names = {words(other.name) for other in line if other is not None}
                    if line[place] is None and words(each.name) in names:
                        line[place] = each
                        break
                else:
                    left.append(each)
            waiting = left
        for each in waiting:
            lines.append([None] * len(rows))
            lines[-1][place] = each
    return lines
