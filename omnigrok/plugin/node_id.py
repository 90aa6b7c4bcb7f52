"""The claim, protocol and role of an item, read from its node id: all that is known of an item
whose worker died.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args

from omnigrok.audit.case import Role
from omnigrok.suite.schema import PROTOCOLS, Protocol

# Other plugins add to the id that the plugin gives: pytest-repeat "-1-3" inside the brackets,
# further parameters theirs on either side, and xdist's loadgroup "@group" after them.
_ITEM = re.compile(
    r"(?P<path>[^:]+)::.*\[(?:.*-)?(?P<claim>[a-z0-9]+\.[A-Za-z0-9-]+?)-(?P<protocol>%s)(?P<control>-control)?(?:-.*)?\](?:@.*)?"  # noqa: UP031
    % "|".join(PROTOCOLS)
)


@dataclass(frozen=True)
class NodeId:
    """What a node id says.

    Args:
        path: of the test module, relative to pytest's root folder.
    """

    path: str
    claim: str
    protocol: Protocol
    role: Role


def parse(nodeid: str) -> NodeId | None:
    """What the node id of a claim or its control says; None for any other item."""
    match = _ITEM.fullmatch(nodeid)
    if match is None:
        return None
    protocol: Protocol = next(each for each in get_args(Protocol) if each == match["protocol"])
    return NodeId(
        match["path"], match["claim"], protocol, "control" if match["control"] else "claim"
    )
