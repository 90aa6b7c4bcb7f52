"""Progress on a terminal, in a pipe, with -q, and from xdist's workers."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from omnigrok.execution.tally import Progress
from omnigrok.plugin.progress import (
    Watch,
    compact,
    duration,
    duration_between,
    leave,
    short_text_of,
    text_of,
    together,
)

BODY = (
    'case.judge([mean_in_region("loss", case.grid().where(alpha=2.0).per_seed(lambda c: '
    'float(c["train_loss"][0])), case.region("mean"))])'
)
LINE = (
    r"training teacher_student, (\d+ networks, step \d+.*): \d+/6 runs, "
    r"[\d,]+ network-steps/s"
)


def progress(**changes: Any) -> Progress:
    numbers: dict[str, Any] = {
        "runs_done": 1,
        "runs_planned": 4,
        "steps_done": 100,
        "steps_planned": 400,
        "seconds": 10.0,
        "label": "x",
        "share": 0.25,
    }
    return Progress(**{**numbers, **changes})


def test_text() -> None:
    assert (
        text_of(progress(), (30.0, 40.0))
        == "training x: 1/4 runs, 10 network-steps/s, 10 s, 30-40 s left"
    )
    assert text_of(progress(steps_done=0), None).endswith(
        "0 network-steps/s, 10 s, time left not known yet"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99, "99 s"), (600, "10 min"), (7200, "2.0 h"), (1e12, "9999.0 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (180, 360, "3-6 min"),
        (90, 120, "90 s to 2 min"),
        (50, 50.2, "50 s"),
        (7200, 9000, "2.0-2.5 h"),
    ],
)
def test_a_range_of_times(low: float, high: float, text: str) -> None:
    assert duration_between(low, high) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (87.4, "87"), (2640, "2.6k"), (14e6, "14M"), (3e9, "3.0G")]
)
def test_compact(number: float, text: str) -> None:
    assert compact(number) == text


def test_a_line_of_a_terminal_fits() -> None:
    many = progress(runs_done=207, runs_planned=828, steps_done=26_000, label="mnist, " * 30)
    text = short_text_of(many, (180.0, 360.0), 58)
    assert text.startswith("207/828 runs  2.6k steps/s  3-6 min left  mnist, ")
    assert len(text) == 58
    assert short_text_of(progress(), None, 58) == "1/4 runs  10 steps/s  x"


def test_workers_share_one_plan() -> None:
    assert together([]) is None
    both = together([progress(), progress(runs_done=2, steps_done=50, seconds=12.0, label="y")])
    assert both == progress(runs_done=3, steps_done=150, seconds=12.0, label="x; y", share=0.5)


def test_watch_reads_what_workers_leave(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(every=0.05)
    leave(watch.folder / "gw0.json", progress())
    leave(watch.folder / "gw1.json", progress(label="y"))
    deadline = time.monotonic() + 20
    said = ""
    while "x; y: 2/4 runs" not in said and time.monotonic() < deadline:
        said += capsys.readouterr().err
        time.sleep(0.02)
    watch.stop()
    assert said.count("x; y: 2/4 runs") == 1  # unchanged numbers are not said again
    assert not watch.folder.exists()
    assert not watch._thread.is_alive()


def test_no_room_for_progress_is_no_failure(tmp_path: Path) -> None:
    leave(tmp_path / "missing" / "gw0.json", progress())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def trains(toy: Any) -> Any:
    toy.add("good", experiments="[tiny]", body=BODY)
    return toy


def test_pipe_gets_plain_lines(trains: Any) -> None:
    done = trains.run("-n", "0")
    assert re.search(LINE, done.stderr.str())
    assert "\x1b" not in done.stderr.str()
    # A training of seconds has no steady rate, and gets no forecast from the time that its first
    # step took; or it is over.
    assert re.search("time left not known yet|, 0 s left", done.stderr.str())


def test_q_is_silent_but_for_one_line(trains: Any) -> None:
    done = trains.run("-n", "0", "-q")
    assert "training" not in done.stderr.str()
    # The control reads the same curves, so the claim is an ERROR; of the table only this line is
    # left.
    assert "smoke tier: 1 ERROR" in done.outlines
    assert not any(line.startswith("toy.good") for line in done.outlines)


@pytest.mark.slow
def test_workers_leave_their_progress(trains: Any) -> None:
    trains.pytester.makeconftest(
        'pytest_plugins = ["omnigrok.plugin.plugin"]\nfrom omnigrok.audit import '
        "progress\nprogress.QUIET_SECONDS = 0.2\n"
    )
    # Slow enough for the watching thread to see it.
    trains.yaml = trains.yaml.replace("steps: 12,", "steps: 2000,")
    done = trains.run("-n", "2")
    assert re.search(LINE, done.stderr.str()), done.stderr.str()


ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def test_a_terminal_gets_a_bar_that_goes_away_and_a_table_that_fits(trains: Any) -> None:
    """At 80 columns, in colours."""
    trains.write()
    leader, follower = pty.openpty()
    plain = ("CI", "NO_COLOR", "PY_COLORS")
    environment = {
        **{name: value for name, value in os.environ.items() if name not in plain},
        "TERM": "xterm",
        "COLUMNS": "80",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "claims",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
        "--audit-json",
        "a.json",
    ]
    with subprocess.Popen(
        command,
        cwd=trains.pytester.path,
        env=environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        close_fds=True,
    ) as process:
        os.close(follower)
        said = b""
        while process.poll() is None or select.select([leader], [], [], 0)[0]:
            if select.select([leader], [], [], 0.2)[0]:
                try:
                    said += os.read(leader, 65536)
                except OSError:  # the other end is closed: Linux says so with EIO
                    break
    os.close(leader)
    text = said.decode(errors="replace")
    assert "0 steps/s  teacher_student, starting" in text
    assert re.search(r"\d/6 runs  [\d.]+[kM]? steps/s  .*teacher_student, ", text), text
    assert "\x1b[2K" in text  # it is wiped
    audit = text[text.rindex("audit of claims") :].partition("short test summary")[0]
    assert re.search(r"\x1b\[[0-9;]*m1 ERROR", audit), repr(audit)
    bars = [line for line in re.split(r"[\r\n]+", text) if " steps/s  " in line]
    shown = [ANSI.sub("", line) for line in [*bars, *re.split(r"[\r\n]+", audit)]]
    assert max(map(len, shown)) <= 80, shown
    assert json.loads((trains.pytester.path / "a.json").read_text())["claims"]
