"""Every ATen call of a process with a simulated card: what a card refuses is refused, what a step
must not do is refused inside a step, and the rest runs on the CPU.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from simcuda.graph import RecordedGraph, is_view, leaves, mapped, tensors, written
from simcuda.memory import Memory
from simcuda.tensor import CARD, CardTensor

# The size or the value of the result is only known once the device has finished.
WAITS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "equal",
    "is_nonzero",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "repeat_interleave",
    "bincount",
}
INDEXING = ("index", "index_put", "index_put_")
PACKAGE = "omnigrok"


class SimulationError(RuntimeError):
    """Something that a CUDA device refuses, or that this project forbids inside a step."""


def _site() -> str:
    """The line of the package that made the call."""
    for frame in reversed(traceback.extract_stack()):
        if PACKAGE in Path(frame.filename).parts:
            return f"{Path(frame.filename).name}:{frame.lineno} {frame.line}"
    return "a line outside the package"


def _is_card(device: torch.device) -> bool:
    # torch's own code hands a wrapper's inner device on to the tensors that it makes.
    return device.type in ("cuda", "meta")


def _twin(value: Any) -> Any:
    if isinstance(value, CardTensor):
        return value.twin
    return torch.device("cpu") if isinstance(value, torch.device) else value


class Dispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs all calls of a process.

    Args:
        memory: of the card.

    Attributes:
        counts: how often what happened: "kernel", "wait", "to card", "captured", "replayed".
    """

    def __init__(self, memory: Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.memory = memory
        self.counts: Counter[str] = Counter()
        self.capturing: RecordedGraph | None = None
        self.graphs: list[Any] = []
        self._steps = 0

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Inside, waiting for the device and copying to or from it are errors."""
        self._steps += 1
        try:
            yield
        finally:
            self._steps -= 1

    @contextlib.contextmanager
    def capture(self, graph: RecordedGraph) -> Iterator[None]:
        """Inside, calls are recorded in ``graph``."""
        if self.capturing is not None:
            raise SimulationError("a capture begins inside another")
        self.capturing = graph
        self.memory.pools.add(graph.pool_memory)
        try:
            yield
        finally:
            self.capturing = None
            with _disable_current_modes(), torch.no_grad():
                graph.end()
            self.counts["captured"] += 1

    def wait(self, what: str) -> None:
        """The host waits for the device."""
        self.counts["wait"] += 1
        if self._steps or self.capturing is not None:
            raise SimulationError(f"the host waits for the device inside a step: {what}, {_site()}")

    def _copy_to_card(self, what: str) -> None:
        self.counts["to card"] += 1
        if self.capturing is not None:
            raise SimulationError(f"copy from pageable memory inside a capture: {what}, {_site()}")
        if self._steps:
            raise SimulationError(f"copy to the device inside a step: {what}, {_site()}")

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self.call(function, args, kwargs or {})

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one ATen call.

        Raises:
            SimulationError: it is not allowed here.
        """
        given = [*leaves(args), *leaves(list(kwargs.values()))]
        on_card = [each for each in given if isinstance(each, CardTensor)]
        on_cpu = [
            each for each in given if isinstance(each, Tensor) and not isinstance(each, CardTensor)
        ]
        wish = kwargs.get("device")
        name = function._schema.name.removeprefix("aten::")
        if name == "_to_copy" and not on_card and wish is not None and wish.type == "meta":
            # A model without values, which somebody asked for by that name.
            return self._plain(function, args, kwargs)
        to_card = _is_card(wish) if wish is not None else bool(on_card)
        if not on_card and not to_card:
            return self._plain(function, args, kwargs)
        self._check(name, args, on_card, on_cpu, to_card)
        options = {key: mapped(value, _twin) for key, value in kwargs.items()}
        options.pop("pin_memory", None)
        result = self._run(function, mapped(args, _twin), options)
        self.counts["kernel"] += not is_view(function)
        if not to_card or name == "_local_scalar_dense":
            return result
        known = {id(each.twin): each for each in on_card}
        return mapped(
            result, lambda each: known[id(each)] if id(each) in known else self.wrap(each)
        )

    def wrap(self, value: Any) -> Any:
        """A CPU tensor as one on the card; anything else as it is."""
        if not isinstance(value, Tensor):
            return value
        self.graphs = [each for each in self.graphs if each() is not None]
        owned = any(graph is not None and graph.owns(value) for graph in (g() for g in self.graphs))
        pool = self.capturing.pool_memory if self.capturing is not None else None
        pooled = owned and (self.capturing is None or not self.capturing.owns(value))
        return CardTensor(value, self, self.memory.hold(value, pool, pooled))

    def _plain(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Page-locked memory needs a driver; any memory of the host stands for it.
        kwargs = {key: value for key, value in kwargs.items() if key != "pin_memory"}
        with _disable_current_modes():
            return function(*args, **kwargs)

    def _run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with _disable_current_modes():
            graph = self.capturing
            if graph is None:
                return function(*args, **kwargs)
            graph.keep_before(written(function, args, kwargs))
            result = function(*args, **kwargs)
            graph.record(function, args, kwargs, result)
            return result

    def _check(
        self,
        name: str,
        args: tuple[Any, ...],
        on_card: list[CardTensor],
        on_cpu: list[Tensor],
        to_card: bool,
    ) -> None:
        if on_card and name in WAITS:
            self.wait(name)
        if name in INDEXING and any(each.dtype == torch.bool for each in tensors(args[1])):
            self.wait("indexing with a mask")
        copies = name in ("_to_copy", "copy_")
        if copies and on_card and (not to_card or (on_cpu and args[0] is on_cpu[0])):
            self.wait("copy to the CPU")
        elif copies and on_cpu:
            self._copy_to_card(name)
        elif on_card and any(each.dim() > 0 for each in on_cpu):
            if name not in INDEXING:
                raise SimulationError(
                    "Expected all tensors to be on the same device, but found at least two "
                    f"devices, {CARD} and cpu! {name}, {_site()}"
                )
            self._copy_to_card("an index")
