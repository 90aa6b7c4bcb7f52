"""SIGINT and SIGTERM in the middle of an audit: the chunk is finished, its state saved, and the
message says how to go on.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

BODY = (
    'case.judge([mean_in_region("loss", case.grid().where(alpha=2.0).per_seed(lambda c: '
    'float(c["train_loss"][-1])), case.region("mean"))])'
)
SAVED = "interrupted; what was trained is saved in"


@pytest.fixture
def endless(toy: Any) -> Path:
    """A claim whose training takes hours, with chunks of a tenth of a second."""
    toy.yaml = toy.yaml.replace("steps: 12,", "steps: 100000000, log_every: 1000,")
    toy.add("good", experiments="[tiny]", body=BODY)
    toy.write()
    folder: Path = toy.pytester.path
    with (folder / "conftest.py").open("a") as conftest:
        conftest.write("\nfrom omnigrok.execution import execute\nexecute.HEARTBEAT = 0.1\n")
    return folder


def rows(store: Path, table: str) -> int:
    if not store.exists():
        return 0
    database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    except sqlite3.OperationalError:  # not yet made
        return 0
    finally:
        database.close()


def interrupted(
    folder: Path, number: signal.Signals, everyone: bool, options: Sequence[str]
) -> tuple[int, str]:
    """Exit status and output of an audit that gets a signal while it trains."""
    store = folder / "store.sqlite"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "claims",
        "-p",
        "no:cacheprovider",
        "--runs",
        str(store),
        *options,
    ]
    environment = {**os.environ, "OMNIGROK_COMPILE": "0"}
    audit = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not rows(store, "leases") and time.monotonic() < deadline:
            assert audit.poll() is None, audit.communicate()[0]
            time.sleep(0.05)
        time.sleep(0.5)
        if everyone:
            os.killpg(audit.pid, number)
        else:
            audit.send_signal(number)
        text, _ = audit.communicate(timeout=60)
    finally:
        if audit.poll() is None:
            os.killpg(audit.pid, signal.SIGKILL)
            audit.communicate()
    return audit.returncode, text


@pytest.mark.fault("SIGINT (Ctrl-C)")
def test_sigint_finishes_the_chunk_saves_and_says_how_to_go_on(endless: Path) -> None:
    """The chunk is finished and its state saved; the last line says where, and that the same
    command goes on.
    """
    status, text = interrupted(endless, signal.SIGINT, False, [])
    assert status == pytest.ExitCode.INTERRUPTED
    assert SAVED in text
    assert "run the same command to go on" in text
    assert rows(endless / "store.sqlite", "checkpoints") == 6
    assert rows(endless / "store.sqlite", "leases") == 0


@pytest.mark.slow
@pytest.mark.fault("SIGTERM")
def test_sigterm_does_the_same(endless: Path) -> None:
    """As Ctrl-C: what a batch system or a shutdown sends costs nothing."""
    status, text = interrupted(endless, signal.SIGTERM, False, [])
    assert status == pytest.ExitCode.INTERRUPTED
    assert SAVED in text
    assert rows(endless / "store.sqlite", "checkpoints") == 6
    assert rows(endless / "store.sqlite", "leases") == 0


@pytest.mark.slow
@pytest.mark.fault("SIGINT (Ctrl-C)")
def test_sigint_saves_the_work_of_all_workers(endless: Path) -> None:
    """With several workers each saves its own."""
    status, text = interrupted(endless, signal.SIGINT, True, ["-n", "2"])
    assert status == pytest.ExitCode.INTERRUPTED, text
    assert rows(endless / "store.sqlite", "checkpoints") == 6
    assert rows(endless / "store.sqlite", "leases") == 0


@pytest.mark.slow
@pytest.mark.fault("SIGTERM")
def test_workers_whose_controller_is_ended_save_their_work(endless: Path) -> None:
    """Workers that lose the process that started them save theirs too, seconds later."""
    interrupted(endless, signal.SIGTERM, False, ["-n", "2"])
    deadline = time.monotonic() + 40
    while rows(endless / "store.sqlite", "leases") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert rows(endless / "store.sqlite", "checkpoints") == 6
    assert rows(endless / "store.sqlite", "leases") == 0


@pytest.mark.fault("SIGINT (Ctrl-C)")
def test_a_second_one_ends_what_nothing_else_can_stop(endless: Path) -> None:
    """While data load nothing looks at the first; it is answered at once, and the second ends the
    process.
    """
    with (endless / "conftest.py").open("a") as conftest:
        conftest.write(
            "\nimport time\nfrom pathlib import Path\n"
            "from omnigrok.execution.engines import worker\n"
            "def loading(*args):\n    Path('loading').touch()\n    time.sleep(600)\n"
            "worker.Stack = loading\n"
        )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "claims",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
        "--runs",
        "store.sqlite",
    ]
    audit = subprocess.Popen(
        command, cwd=endless, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while not (endless / "loading").exists() and time.monotonic() < deadline:
            assert audit.poll() is None, audit.communicate()[0]
            time.sleep(0.05)
        audit.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert audit.poll() is None
        audit.send_signal(signal.SIGINT)
        text, _ = audit.communicate(timeout=60)
    finally:
        audit.kill()
    assert audit.returncode == pytest.ExitCode.INTERRUPTED
    assert "interrupt again to end at once" in text
    assert "interrupted twice" in text
    assert rows(endless / "store.sqlite", "leases") == 0
