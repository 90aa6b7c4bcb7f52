"""A replay audit in a process of its own: every verdict again from the recorded evidence, no
training, no network.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from omnigrok.audit.document import Audit, load_audit
from omnigrok.errors import BadInput

SAID = 2000  # characters of pytest's output that are shown where it wrote no audit
_MARK = "omnigrok-judged"
_LINE = re.compile(rf"{_MARK} (\d+) (\d+) (\d+) (.*)")


@dataclass(frozen=True)
class Judged:
    """How far a replay has come.

    Args:
        done, total: verdicts and controls.
        known: of those done, judged before: they came from the cache.
        name: of the last.
    """

    done: int
    total: int
    known: int
    name: str

    def line(self) -> str:
        """As the process that judges says it."""
        return f"{_MARK} {self.done} {self.total} {self.known} {self.name}"

    @classmethod
    def of(cls, line: str) -> Judged | None:
        """What a line of ``line`` says; None for any other."""
        found = _LINE.fullmatch(line.strip())
        if found is None:
            return None
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4])


def replay(
    folder: Path, told: Callable[[Judged], None] | None = None, *, cache: bool = True
) -> Audit:
    """The audit of ``pytest FOLDER --replay --protocol all --universes``.

    A refuted claim makes pytest's exit status 1, and is a result; other statuses mean that not all
    was judged.

    Args:
        folder: of claims.
        told: called a few times a second while claims are judged.
        cache: whether what was judged before from the same evidence, criteria and code may be used.

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
            "omnigrok.plugin.judging",
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
            *([] if cache else ["--audit-no-cache"]),
        ]
        said = []
        with subprocess.Popen(  # noqa: S603 (its own command)
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                judged = Judged.of(line)
                if judged is None:
                    said.append(line)
                elif told is not None:
                    told(judged)
        if process.returncode not in (0, 1) or not target.is_file():
            raise BadInput(
                f"{folder}: the replay ended with status {process.returncode} and no audit; pytest "
                f"said:\n{''.join(said).strip()[-SAID:]}"
            )
        return load_audit(target)
