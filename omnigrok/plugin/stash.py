"""What the parts of the plugin leave for each other: on the session, on its items, and words for
the controller.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from omnigrok.audit.outcome import Outcome
from omnigrok.audit.session import AuditSession, Request
from omnigrok.plugin.known import Known

# Of a session.
SESSION = pytest.StashKey[AuditSession]()
KNOWN_BEFORE = pytest.StashKey[Known]()
UNKNOWN_PROTOCOL = pytest.StashKey[str]()
# Of an item.
REQUEST = pytest.StashKey[Request]()
OUTCOME = pytest.StashKey[Outcome]()


def tell(config: pytest.Config, key: str, text: str) -> None:
    """Leave a word for the controller: in this process, or with what a worker sends it at
    its end.
    """
    controller = config.pluginmanager.get_plugin("omnigrok-controller")
    if controller is not None:
        controller.notes[key] = text
    else:
        cast("Any", config).workeroutput[key] = text
