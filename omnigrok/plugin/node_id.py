"""The claim, protocol and role of an item, read from its node id: all that is known of an item
whose worker died.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from omnigrok.audit.case import Role
from omnigrok.errors import BadInput
from omnigrok.suite.schema import Protocol
from omnigrok.suite.suite import Suite, load_suite

# Other plugins add to the id that the plugin gives: pytest-repeat "-1-3" inside the brackets,
# further parameters theirs on either side, and xdist's loadgroup "@group" after them.
_ITEM = (
    r"[^:]+::.*\[(?:.*-)?(?P<claim>{claims})-(?P<protocol>{protocols})"
    r"(?P<control>-control)?(?:-.*)?\](?:@.*)?"
)


@dataclass(frozen=True)
class NodeId:
    """What a node id says.

    Args:
        figure: name of the figure file next to the test module.
    """

    suite: Suite
    figure: str
    claim: str
    protocol: Protocol
    role: Role


def parse(nodeid: str, folders: Iterable[Path]) -> NodeId | None:
    """What the node id of a claim or its control says; None for any other item.

    Args:
        folders: what the node id may be relative to: pytest's root folder, or the one it was
            started in.
    """
    path = Path(nodeid.partition("::")[0])
    figure = path.stem.removeprefix("test_")
    home = next((each / path.parent for each in folders if _has(each / path.parent, figure)), None)
    if home is None:
        return None
    suite = load_suite(home)
    try:
        known = [each.id for each in suite.figure(figure).claims]
        # The longest first: an id may be another's with a protocol after it.
        claims = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
        pattern = _ITEM.format(claims=claims, protocols="|".join(suite.protocols))
    except BadInput:  # collecting has said so
        return None
    match = re.fullmatch(pattern, nodeid)
    if match is None:
        return None
    role: Role = "control" if match["control"] else "claim"
    return NodeId(suite, figure, match["claim"], match["protocol"], role)


def _has(folder: Path, figure: str) -> bool:
    return (folder / f"{figure}.yaml").is_file()
