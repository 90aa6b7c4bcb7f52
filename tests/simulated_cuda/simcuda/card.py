"""A simulated card, and torch with it while a ``with`` lasts."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from omnigrok.training.step import TorchStep
from simcuda.dispatch import Dispatch, SimulationError
from simcuda.graph import RecordedGraph
from simcuda.memory import Memory, Pool
from simcuda.tensor import CARD

NAME = "Simulated CUDA"
TOTAL = 141 << 30


def simulation_problem() -> str:
    """Why the simulation cannot run here; "" if it can."""
    if torch.version.cuda is not None:
        return "torch is a CUDA build: run tests/gpu on a card"
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        return "needs a C++ compiler"
    return ""


@dataclass(frozen=True)
class Properties:
    """As of ``torch.cuda.get_device_properties``."""

    total_memory: int
    name: str = NAME
    major: int = 9
    minor: int = 0
    multi_processor_count: int = 132


class Stream:
    """All work is done at once, so there is nothing to wait for."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def wait_stream(self, other: Stream) -> None:
        pass

    def synchronize(self) -> None:
        pass


class Event:
    """All work before it is done when it is recorded."""

    def __init__(self, *_: object, **__: object) -> None:
        self.recorded = False

    def record(self, *_: object) -> None:
        self.recorded = True

    def synchronize(self) -> None:
        if not self.recorded:
            raise SimulationError("the host waits for an event that nobody has recorded")


class SimulatedCard:
    """One CUDA device of this process.

    Args:
        total: bytes of its memory.
        end_fails: whether ending a capture in which something failed raises an error of its own,
            as CUDA does for most causes.

    Attributes:
        memory: what is in use.
        graphs_captured: (kernels) of each capture, in order.
    """

    def __init__(self, total: int = TOTAL, end_fails: bool = True) -> None:
        self.memory = Memory(total)
        self.dispatch = Dispatch(self.memory)
        self.end_fails = end_fails
        self.graphs_captured: list[int] = []

    @property
    def counts(self) -> dict[str, int]:
        """How often what happened (``Dispatch.counts``)."""
        return dict(self.dispatch.counts)

    @contextlib.contextmanager
    def installed(self) -> Iterator[SimulatedCard]:
        """torch with this card, until the end of the ``with``."""
        _load_guard()
        with contextlib.ExitStack() as stack:
            for name, value in self._patches().items():
                stack.enter_context(mock.patch.object(torch.cuda, name, value))
            stack.enter_context(mock.patch.object(torch, "tensor", _tensor_on_card(torch.tensor)))
            stack.enter_context(mock.patch.object(TorchStep, "take_one", self._checked_step()))
            stack.enter_context(_switched("_set_multithreading_enabled", False, True))
            stack.enter_context(_switched("_set_only_lift_cpu_tensors", True, False))
            stack.enter_context(self.dispatch)
            yield self

    def limit(self, more: float) -> None:
        """Let there be so many bytes more than are in use now."""
        self.memory.limit = int(min(self.memory.total, self.memory.in_use + more))

    def _checked_step(self) -> Callable[[TorchStep], None]:
        take = TorchStep.take_one

        def checked(step: TorchStep) -> None:
            if step.replicas.device.type != "cuda":
                take(step)
                return
            with self.dispatch.step():
                take(step)

        return checked

    @contextlib.contextmanager
    def _graph(self, graph: RecordedGraph, pool: Pool | None = None) -> Iterator[None]:
        if pool is not None:
            graph.pool_memory = pool
        try:
            with self.dispatch.capture(graph):
                yield
        except BaseException as error:
            if not self.end_fails:
                raise
            raise RuntimeError(
                "CUDA error: operation failed due to a previous error during capture"
            ) from error
        self.graphs_captured.append(graph.kernels)

    def _patches(self) -> dict[str, Any]:
        memory = self.memory

        def new_graph(*_: object, **__: object) -> RecordedGraph:
            graph = _CountedGraph(self.dispatch)
            self.dispatch.graphs.append(weakref.ref(graph))
            return graph

        def set_fraction(fraction: float, *_: object) -> None:
            memory.limit = int(fraction * memory.total)

        return {
            "_lazy_init": lambda: None,
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "device_count": lambda: 1,
            "current_device": lambda: 0,
            "get_device_name": lambda *_: NAME,
            "get_device_capability": lambda *_: (9, 0),
            "get_device_properties": lambda *_: Properties(memory.total),
            "mem_get_info": lambda *_: (memory.limit - memory.in_use, memory.total),
            "memory_allocated": lambda *_: memory.in_use,
            "memory_reserved": lambda *_: memory.in_use,
            "max_memory_allocated": lambda *_: memory.peak,
            "reset_peak_memory_stats": lambda *_: setattr(memory, "peak", memory.in_use),
            "set_per_process_memory_fraction": set_fraction,
            "empty_cache": lambda: None,
            "synchronize": lambda *_: None,
            "Stream": Stream,
            "Event": Event,
            "current_stream": lambda *_: Stream(),
            "stream": lambda _: contextlib.nullcontext(),
            "CUDAGraph": new_graph,
            "graph": self._graph,
        }


class _CountedGraph(RecordedGraph):
    def __init__(self, dispatch: Dispatch) -> None:
        super().__init__()
        self._dispatch = dispatch

    def replay(self) -> None:
        self._dispatch.counts["replayed"] += 1
        super().replay()


def _tensor_on_card(plain: Callable[..., Any]) -> Callable[..., Any]:
    """``torch.tensor`` makes its values on the CPU, and copies them to the card."""

    @functools.wraps(plain)
    def tensor(data: Any, *args: Any, device: Any = None, **options: Any) -> Any:
        made = plain(data, *args, **options)
        to_card = device is not None and torch.device(device).type == "cuda"
        return made.to(CARD) if to_card else made

    return tensor


@contextlib.contextmanager
def _switched(name: str, inside: bool, outside: bool) -> Iterator[None]:
    switch = getattr(torch._C, name)
    switch(inside)
    try:
        yield
    finally:
        switch(outside)


@functools.lru_cache(maxsize=1)
def _load_guard() -> None:
    """torch asks a guard of the device type for the current device; a build without CUDA has none.
    It stays for the life of the process, and does nothing.
    """
    source, torch_root = Path(__file__).with_name("device_guard.cpp"), Path(torch.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "device_guard.so"
        subprocess.run(
            [
                os.environ.get("CXX", "g++"),
                "-shared",
                "-fPIC",
                "-std=c++20",
                str(source),
                "-o",
                str(target),
                f"-I{torch_root / 'include'}",
                f"-L{torch_root / 'lib'}",
                "-ltorch_cpu",
                "-lc10",
                f"-Wl,-rpath,{torch_root / 'lib'}",
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        ctypes.CDLL(str(target))


if sys.platform != "linux":
    raise RuntimeError("the simulated card is for Linux")
