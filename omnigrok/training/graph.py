"""The whole step of a stack as a CUDA graph: one call of the host replays all its kernels."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from omnigrok.errors import BadInput

# Real steps that start libraries and compile kernels on a stream of their own, as a capture needs
# it.
WARM_UP = 3


def wanted(device: torch.device) -> bool:
    """Whether steps are captured: on CUDA, unless OMNIGROK_CUDA_GRAPHS=0.

    Raises:
        BadInput: OMNIGROK_CUDA_GRAPHS is neither 0 nor 1.
    """
    wish = os.environ.get("OMNIGROK_CUDA_GRAPHS", "1")
    if wish not in ("0", "1"):
        raise BadInput(
            f"OMNIGROK_CUDA_GRAPHS={wish} is not accepted; 0 (steps are launched kernel by kernel) "
            "or 1"
        )
    return device.type == "cuda" and wish == "1"


class Replayed:
    """A step that is taken as it is at first, then captured, then replayed. It does not keep the
    step, nor what the step belongs to.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        # One for all steps: each stream that multiplies matrices keeps a workspace.
        self.aside: torch.cuda.Stream | None = None

    def __call__(self, step: Callable[[], None]) -> None:
        """Take one step.

        Args:
            step: the same one at each call; it reads and writes tensors that keep their place in
                memory, and asks the device for nothing.
        """
        if self.graph is None and self.taken < WARM_UP:
            if self.aside is None:
                self.aside = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            self.aside.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(self.aside):
                step()
            torch.cuda.current_stream(self.device).wait_stream(self.aside)
            self.taken += 1
            return
        if self.graph is None:
            self.graph = self._capture(step)
        self.graph.replay()

    def _capture(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self.device)
        try:
            # The outer context puts the stream back where the capture fails at its end, before the
            # inner one would.
            with torch.cuda.stream(torch.cuda.current_stream(self.device)), torch.cuda.graph(graph):
                step()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            error.add_note(
                "The step of this stack could not be captured as a CUDA graph; "
                "OMNIGROK_CUDA_GRAPHS=0 trains without."
            )
            raise
        return graph
