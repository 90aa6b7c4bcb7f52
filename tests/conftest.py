"""What a training leaves behind in the process, undone after each test."""

from __future__ import annotations

import sys


def pytest_runtest_teardown() -> None:
    """A training flushes denormals to zero in the whole process; hypothesis then refuses to draw floats."""
    device = sys.modules.get("omnigrok.training.device")
    if device is not None:
        device.torch.set_flush_denormal(False)
        device.prepare_cpu.cache_clear()
