"""Which finding of one protocol, or of one audit, asks what a finding of another asks."""

from __future__ import annotations

import re


def plain_name(name: str) -> str:
    """Without the protocol: each names its accuracy column in the finding."""
    return name.replace("acc_code", "acc")


def general_name(name: str) -> str:
    """What is asked, without the size from which the data allow it to be asked."""
    return re.sub(r"\bfrom N = [0-9]+", "from N", plain_name(name))
