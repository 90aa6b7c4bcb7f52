"""When training ends before its time: SIGINT, SIGTERM, or the ``--budget``."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from omnigrok.errors import OmnigrokError

STOPPING = (
    "stopping once the data is loaded or the chunk has ended, and saved; interrupt again to end at "
    "once, without saving"
)


class BudgetSpent(OmnigrokError):
    """The time given with ``--budget`` is over; what was trained is saved."""


class Interruption:
    """Whether to stop, and why.

    Args:
        store: the file where everything is saved, for messages.
        budget: seconds after which to stop cleanly.
        say: tells a person one line, at any moment.
    """

    def __init__(
        self, store: Path, budget: float = float("inf"), say: Callable[[str], None] | None = None
    ) -> None:
        self.store, self.say = store, say
        self.deadline = time.monotonic() + budget
        self.asked = False

    @property
    def is_due(self) -> bool:
        """Whether a signal came or the time is over."""
        return self.asked or time.monotonic() > self.deadline

    def check(self) -> None:
        """Raise if it is due; everything must have been saved.

        Raises:
            KeyboardInterrupt: a signal came.
            BudgetSpent: the time is over.
        """
        if self.asked:
            raise KeyboardInterrupt(
                f"interrupted; what was trained is saved in {self.store}: run the same command to "
                "go on"
            )
        if time.monotonic() > self.deadline:
            raise BudgetSpent(
                f"the --budget is spent; what was trained is saved in {self.store}: run the same "
                "command to go on"
            )

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM end the chunk instead of tearing it; a second one ends the
        process.

        Loading data, compiling, or a chunk of long steps may take minutes, and nothing looks at
        ``asked`` meanwhile.
        """

        def stop(number: int, frame: FrameType | None) -> None:
            if self.asked:
                raise KeyboardInterrupt(
                    f"interrupted twice; what was saved before is in {self.store}"
                )
            self.asked = True
            if self.say is not None:
                self.say(STOPPING)

        previous = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not in the main thread
                previous[number] = signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
