"""The whole step of a stack as a CUDA graph: one call of the host replays all its kernels."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from omnigrok.errors import BadInput

# Real steps that start libraries and compile kernels on a stream of their own, as a capture needs it.
WARM_UP = 3


def wanted(device: torch.device) -> bool:
    """Whether steps are captured: on CUDA, unless OMNIGROK_CUDA_GRAPHS=0.

    Raises:
        BadInput: OMNIGROK_CUDA_GRAPHS is neither 0 nor 1.
    """
    wish = os.environ.get("OMNIGROK_CUDA_GRAPHS", "1")
    if wish not in ("0", "1"):
        raise BadInput(f"OMNIGROK_CUDA_GRAPHS={wish} is not accepted; 0 (steps are launched kernel by kernel) or 1")
    return device.type == "cuda" and wish == "1"


class Replayed:
    """A step that is taken as it is at first, then captured, then replayed.

    Args:
        step: takes no argument, reads and writes tensors that keep their place in memory, and asks the device for nothing.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self.step, self.device = step, device
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Take one step."""
        if self.graph is None and self.taken < WARM_UP:
            aside = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(aside):
                self.step()
            torch.cuda.current_stream(self.device).wait_stream(aside)
            self.taken += 1
            return
        if self.graph is None:
            self.graph = self._capture()
        self.graph.replay()

    def _capture(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self.device)
        try:
            with torch.cuda.graph(graph):
                self.step()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            error.add_note("The step of this stack could not be captured as a CUDA graph; OMNIGROK_CUDA_GRAPHS=0 trains without.")
            raise
        return graph
