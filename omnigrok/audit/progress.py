"""Progress while training: one rewritten line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

import pytest

from omnigrok.runs.execute import Progress

QUIET_SECONDS = 30.0


class ProgressPrinter:
    """Writes the progress past pytest's capture; silent in xdist workers, whose output goes nowhere."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.last = 0.0
        self.terminal = sys.stderr.isatty()

    def update(self, progress: Progress) -> None:
        """Show the progress, at most once a second on a terminal and every half minute elsewhere."""
        now = time.monotonic()
        if hasattr(self.config, "workerinput") or self.config.get_verbosity() < 0:
            return
        if now - self.last < (1.0 if self.terminal else QUIET_SECONDS):
            return
        self.last = now
        rate = progress.steps_done / max(progress.seconds, 1e-9)
        left = (progress.steps_planned - progress.steps_done) / rate if rate else float("inf")
        text = (
            f"training {progress.label}: {progress.runs_done}/{progress.runs_planned} runs, {rate:,.0f} network-steps/s, "
            f"{progress.seconds:.0f} s, at most {min(left, 1e9):.0f} s left"
        )
        capture = self.config.pluginmanager.get_plugin("capturemanager")
        if capture is None:
            self._write(text)
            return
        with capture.global_and_fixture_disabled():
            self._write(text)

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[2K{text}" if self.terminal else f"\n{text}\n")
        sys.stderr.flush()
