"""Progress while training: a live bar on a terminal, a line now and then in pipes and CI, and under
xdist the sum over its workers.

A worker's output goes nowhere, so it leaves its numbers in a folder that the controller names and
reads.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from omnigrok.execution.tally import Progress
from omnigrok.plugin.pace import Pace

QUIET_SECONDS = 30.0
LIVE_SECONDS = 1.0
WATCH_SECONDS = 10.0
BAR = 20  # columns
INPUT = "omnigrok_progress"  # the worker's key for the folder


def duration(seconds: float) -> str:
    """A time as a person reads it, e.g. "45 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{min(seconds / 3600, 9999):.1f} h"


def duration_between(low: float, high: float) -> str:
    """A range of times, e.g. "3-6 min", "90 s to 2 min"; one time where both read the same."""
    first, last = duration(low), duration(high)
    if first == last:
        return last
    number, unit = first.split()
    return f"{number}-{last}" if last.endswith(f" {unit}") else f"{first} to {last}"


def compact(number: float) -> str:
    """A rate in at most five characters, e.g. "87", "2.6k", "14M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            value = number / size
            return f"{value:.1f}{letter}" if value < 10 else f"{value:.0f}{letter}"
    return f"{number:.0f}"


def _rate(progress: Progress) -> float:
    return progress.steps_done / max(progress.seconds, 1e-9)


def text_of(progress: Progress, left: tuple[float, float] | None) -> str:
    """Runs done, speed, time gone and time left, in one line of a log."""
    ahead = "time left not known yet" if left is None else f"{duration_between(*left)} left"
    return (
        f"training {progress.label}: {progress.runs_done}/{progress.runs_planned} runs, "
        f"{_rate(progress):,.0f} network-steps/s, "
        f"{duration(progress.seconds)}, {ahead}"
    )


def short_text_of(progress: Progress, left: tuple[float, float] | None, width: int) -> str:
    """The same for a line of a terminal: what is trained comes last, and is cut to fit."""
    ahead = "" if left is None else f"{duration_between(*left)} left  "
    text = (
        f"{progress.runs_done}/{progress.runs_planned} runs  {compact(_rate(progress))} steps/s  "
        f"{ahead}{progress.label}"
    )
    return text if len(text) <= width else f"{text[: width - 1]}…"


def together(parts: Iterable[Progress]) -> Progress | None:
    """The progress of several workers that share one plan; None where none has reported."""
    each = list(parts)
    if not each:
        return None
    return Progress(
        sum(part.runs_done for part in each),
        max(part.runs_planned for part in each),
        sum(part.steps_done for part in each),
        max(part.steps_planned for part in each),
        max(part.seconds for part in each),
        "; ".join(part.label for part in each),
        min(sum(part.share for part in each), 1.0),
    )


class ProgressPrinter:
    """Shows what the executor reports; silent with -q.

    Args:
        config: of this session.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.last = -float("inf")
        self.quiet = config.get_verbosity() < 0
        self.terminal = sys.stderr.isatty() and not os.environ.get("CI")
        self.bar: Bar | None = None
        worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self.side_file = (
            None
            if worker is None
            else Path(worker[INPUT]) / f"{worker['workerid']}.json"
            if INPUT in worker
            else None
        )
        self.worker = worker is not None
        self.watch: Watch | None = None
        self.pace = Pace()
        # At this time nothing captures the standard error. A signal's handler may write to the
        # descriptor at any moment.
        self.stderr = None if self.worker else os.dup(2)

    def say(self, text: str) -> None:
        """Print one line at once, also in the handler of a signal. Workers say nothing: their
        controller does.
        """
        if self.stderr is not None:
            os.write(self.stderr, f"\n{text}\n".encode())

    def pytest_unconfigure(self) -> None:
        if self.stderr is not None:
            os.close(self.stderr)
            self.stderr = None

    def update(self, progress: Progress) -> None:
        """Show the progress, at most once a second on a terminal and every half minute
        elsewhere.
        """
        now = time.monotonic()
        if now - self.last < (LIVE_SECONDS if self.terminal or self.worker else QUIET_SECONDS):
            return
        self.last = now
        if self.side_file is not None:
            leave(self.side_file, progress)
        elif not self.worker and not self.quiet:
            with self._past_capture():
                if self.terminal:
                    self._live(progress)
                else:
                    sys.stderr.write(f"\n{text_of(progress, self.pace.left(progress))}\n")
                    sys.stderr.flush()

    def begins(self, progress: Progress) -> None:
        """Show that a stack begins; not in a log, whose few lines are kept for steps."""
        if self.terminal or self.worker:
            self.update(progress)

    def _live(self, progress: Progress) -> None:
        if self.bar is None:
            sys.stderr.write("\n")  # below the line of dots, not over it
            console = Console(stderr=True)
            self.bar = Bar(
                BarColumn(bar_width=BAR),
                TextColumn("{task.description}", markup=False),
                console=console,
                auto_refresh=False,
                transient=True,
            )
            self.bar.add_task("")
            self.bar.start()
        room = self.bar.console.width - BAR - 2
        text = short_text_of(progress, self.pace.left(progress), room)
        self.bar.update(self.bar.task_ids[0], total=1.0, completed=progress.share, description=text)
        self.bar.refresh()

    @contextmanager
    def _past_capture(self) -> Iterator[None]:
        capture = self.config.pluginmanager.get_plugin("capturemanager")
        if capture is None:
            yield
        else:
            with capture.global_and_fixture_disabled():
                yield

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        """What was trained for this item is there: give the line back to pytest."""
        self._stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._stop()
        if self.watch is not None:
            self.watch.stop()

    def _stop(self) -> None:
        if self.bar is not None:
            with self._past_capture():
                self.bar.stop()
            self.bar = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist starts a worker: tell it where to leave its progress, and watch."""
        if self.quiet:
            return
        if self.watch is None:
            self.watch = Watch(WATCH_SECONDS if self.terminal else QUIET_SECONDS)
        node.workerinput[INPUT] = str(self.watch.folder)


def leave(path: Path, progress: Progress) -> None:
    """Write a worker's progress, so that a reader finds it whole. Progress is worth no failure:
    without room for it, it is left out.
    """
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)


class Watch:
    """A thread of the controller that prints what its workers left, while they are at it.

    A live bar would fight with the dots that xdist's controller prints meanwhile, so this prints
    plain lines on a terminal, too.

    Args:
        every: seconds between two lines.
    """

    def __init__(self, every: float) -> None:
        self.every = every
        self._folder = tempfile.TemporaryDirectory(
            prefix="omnigrok-progress-", ignore_cleanup_errors=True
        )
        self.folder = Path(self._folder.name)
        self.said: Progress | None = None
        self.pace = Pace()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="omnigrok-progress", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self.every):
            self.tell()

    def tell(self) -> None:
        """Print the sum over the workers, if it has changed."""
        progress = together(self._read())
        if progress is not None and progress != self.said:
            self.said = progress
            sys.stderr.write(f"\n{text_of(progress, self.pace.left(progress))}\n")
            sys.stderr.flush()

    def _read(self) -> list[Progress]:
        return [
            Progress(**json.loads(path.read_text(encoding="utf-8")))
            for path in sorted(self.folder.glob("*.json"))
        ]

    def stop(self) -> None:
        """End the thread and remove the folder."""
        self._over.set()
        self._thread.join(timeout=5)
        self._folder.cleanup()
