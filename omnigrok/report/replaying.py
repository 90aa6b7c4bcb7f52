"""A replay audit in a process of its own: every verdict again from the recorded evidence, no
training, no network.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from omnigrok.audit.document import Audit, load_audit
from omnigrok.errors import BadInput

SAID = 2000  # characters of pytest's output that are shown where it wrote no audit


def replay(folder: Path) -> Audit:
    """The audit of ``pytest FOLDER --replay --protocol all --universes``.

    A refuted claim makes pytest's exit status 1, and is a result; other statuses mean that not all
    was judged.

    Raises:
        BadInput: pytest ended without an audit; the message has the end of what it said.
    """
    with tempfile.TemporaryDirectory(prefix="omnigrok-replay-") as temporary:
        target = Path(temporary) / "audit.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            str(folder),
            "-p",
            "omnigrok.plugin.plugin",
            "-p",
            "no:cacheprovider",
            "--import-mode=importlib",
            "--replay",
            "--protocol",
            "all",
            "--universes",
            "-q",
            "--audit-json",
            str(target),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (its own command)
        if done.returncode not in (0, 1) or not target.is_file():
            said = (done.stdout + done.stderr).strip()[-SAID:]
            raise BadInput(
                f"{folder}: the replay ended with status {done.returncode} and no audit; pytest "
                f"said:\n{said}"
            )
        return load_audit(target)
