"""Stacks in this process, one after another."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from omnigrok.execution.engines.engine import Job, Report
from omnigrok.execution.engines.worker import Worker
from omnigrok.training.device import describe, memory_share


class LocalEngine:
    """``Engine`` of this process: it trains while it is polled.

    Args:
        device: where stacks train.
        root: the folder of downloaded data.
    """

    slots = 1
    background = False

    def __init__(self, device: torch.device, root: Path) -> None:
        self.kind, self.device, self.torch = device.type, describe(device), str(torch.__version__)
        self.worker = Worker(device, root)

    @property
    def memory(self) -> float:
        """Of the device, this process's share."""
        return memory_share(self.worker.device)

    @property
    def shared(self) -> str:
        """The card: kernels of two processes never overlap on one, and each would have half of its
        memory.
        """
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        return f"card {visible}" if self.kind == "cuda" else ""

    def submit(self, job: Job) -> None:
        """Take a job; it starts with the next poll."""
        self.worker.begin(job)

    def poll(self, seconds: float, save_after: float) -> list[Report]:
        """Train for about this many seconds."""
        return [] if self.worker.job is None else [self.worker.advance(seconds, save_after)]

    def cancel(self, job: Job) -> None:
        """Forget the job."""
        self.worker.drop()

    def stop(self) -> list[Report]:
        """End the job, with a checkpoint."""
        report = self.worker.save()
        self.worker.drop()
        return [] if report is None else [report]

    def rest(self) -> None:
        """Empty torch's cache of the card's memory."""
        if self.kind == "cuda":
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Forget the job."""
        self.worker.drop()
