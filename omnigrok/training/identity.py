"""The identity of a Run's trainer: the versions of what decides its numbers."""

from __future__ import annotations

from omnigrok.data import find_task
from omnigrok.models import find_model
from omnigrok.runs.run import Run
from omnigrok.training.version import VERSION


def versions(run: Run) -> dict[str, int]:
    """The versions of the trainer, and of the Run's data set and architecture, by name."""
    return {"trainer": VERSION, run.task: find_task(run.task).VERSION, run.model: find_model(run.model).VERSION}
