"""A replay with its progress on the standard error, for the commands that judge the recorded
evidence.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from omnigrok.audit.document import Audit
from omnigrok.report.replaying import Judged, replay

QUIET_SECONDS = 10.0  # between two lines where there is no terminal

cache_option = click.option(
    "--no-cache",
    "cache",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Judge everything again, even what was judged from the same evidence, criteria and code.",
)


def replay_aloud(folder: Path, cache: bool) -> Audit:
    """``replay``, with a bar on a terminal and a line now and then elsewhere; the last line says
    how much came from the cache.
    """
    last: Judged | None = None
    with _shown() as show:

        def told(judged: Judged) -> None:
            nonlocal last
            last = judged
            show(judged)

        audit = replay(folder, told, cache=cache)
    if last is not None:
        before = (
            f", {last.known} of them before from the same evidence, criteria and code (--no-cache "
            "judges them again)"
            if last.known
            else ""
        )
        click.echo(f"{last.total} verdicts and controls judged{before}", err=True)
    return audit


@contextmanager
def _shown() -> Iterator[Callable[[Judged], None]]:
    if not sys.stderr.isatty() or os.environ.get("CI"):
        yield _Lines().show
        return
    from rich.console import Console  # noqa: PLC0415 (for terminals alone)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (
        TextColumn("judging"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading claims", total=None)
        yield lambda judged: progress.update(
            task, completed=judged.done, total=judged.total, description=judged.name
        )


class _Lines:
    def __init__(self) -> None:
        self._said = time.monotonic()

    def show(self, judged: Judged) -> None:
        now = time.monotonic()
        if now - self._said >= QUIET_SECONDS:
            self._said = now
            click.echo(f"judged {judged.done} of {judged.total}", err=True)
