"""Whole steps of a stack as a CUDA graph: one call of the host replays all their kernels."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from omnigrok.errors import BadInput

# Real steps that start libraries and compile kernels on a stream of their own, as a capture needs
# it.
WARM_UP = 3
# Steps of one graph where a step is few kernels: a small network's takes about as long as the call
# that replays it.
AT_ONCE = 10


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
    """A step that is taken as it is at first, then captured, then replayed: some steps at once, and
    the rest one by one. It does not keep the step, nor what the step belongs to.

    Args:
        device: of the graphs.
        at_once: steps of the larger graph; 1 where a step has so many kernels that a graph of
            several would be large and slow to capture.
    """

    def __init__(self, device: torch.device, at_once: int = AT_ONCE) -> None:
        self.device, self.at_once = device, at_once
        self.taken = 0
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        # One for all steps: each stream that multiplies matrices keeps a workspace.
        self.aside: torch.cuda.Stream | None = None

    def __call__(self, step: Callable[[], None], count: int) -> None:
        """Take ``count`` steps.

        Args:
            step: takes one, the same at each call; it reads and writes tensors that keep their
                place in memory, finds out on the device which step it is, and asks the device for
                nothing.
        """
        while count and self.taken < WARM_UP:
            self._warm_up(step)
            count -= 1
        for size in sorted({self.at_once, 1}, reverse=True):
            repeats, count = divmod(count, size)
            for _ in range(repeats):
                self._graph(step, size).replay()

    def _warm_up(self, step: Callable[[], None]) -> None:
        if self.aside is None:
            self.aside = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self.aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.aside):
            step()
        torch.cuda.current_stream(self.device).wait_stream(self.aside)
        self.taken += 1

    def _graph(self, step: Callable[[], None], size: int) -> torch.cuda.CUDAGraph:
        if size not in self.graphs:
            self.graphs[size] = self._capture(step, size)
        return self.graphs[size]

    def _capture(self, step: Callable[[], None], size: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # What a step makes is gone when it ends, so that graphs may use the same memory by turns.
        pool = next((other.pool() for other in self.graphs.values()), None)
        torch.cuda.synchronize(self.device)
        try:
            # The outer context puts the stream back where the capture fails at its end, before the
            # inner one would.
            with (
                torch.cuda.stream(torch.cuda.current_stream(self.device)),
                torch.cuda.graph(graph, pool=pool),
            ):
                for _ in range(size):
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
