"""What torch.cuda.CUDAGraph does, on records of ATen calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from simcuda.memory import Pool


def poison(dtype: torch.dtype) -> float | int | bool:
    """What stands in memory that a captured call would have filled: nothing that can be used."""
    if dtype == torch.bool:
        return False
    return float("nan") if dtype.is_floating_point else torch.iinfo(dtype).min


def is_view(function: Any) -> bool:
    """Whether an ATen function only looks at its argument in another way: no kernel runs."""
    return any(
        result.alias_info is not None and not result.alias_info.is_write
        for result in function._schema.returns
    )


def written(function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> list[Tensor]:
    """The tensors that a call of an ATen function writes to."""
    found: list[Tensor] = []
    for place, argument in enumerate(function._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = arguments[place] if place < len(arguments) else options.get(argument.name)
            found += tensors(value)
    return found


def leaves(value: Any) -> Iterable[Any]:
    """What is in an argument or result of an ATen function: lists nest, nothing else does."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same with every leaf changed."""
    if isinstance(value, list | tuple):
        return type(value)([mapped(each, change) for each in value])
    return change(value)


def tensors(value: object) -> list[Tensor]:
    """The tensors in an argument or result."""
    return [each for each in leaves(value) if isinstance(each, Tensor)]


class RecordedGraph:
    """Calls of ATen functions on CPU tensors, to be repeated in place."""

    def __init__(self) -> None:
        self.pool_memory = Pool()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self.ended = False
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._made: dict[int, Tensor] = {}

    def pool(self) -> Pool:
        """Memory that another graph may use as well."""
        return self.pool_memory

    @property
    def kernels(self) -> int:
        """Calls that launch something."""
        return sum(not is_view(function) for function, *_ in self.calls)

    def owns(self, tensor: Tensor) -> bool:
        """Whether the graph has made the tensor's storage."""
        return tensor.untyped_storage()._cdata in self._made

    def keep_before(self, targets: list[Tensor]) -> None:
        """Remember what stands where a call is about to write."""
        for target in targets:
            storage = target.untyped_storage()
            if storage._cdata not in self._before and not self.owns(target):
                copy = torch.UntypedStorage(storage.nbytes()).copy_(storage)
                self._before[storage._cdata] = storage, copy

    def record(
        self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any], result: Any
    ) -> None:
        """Add a call that has just been made."""
        self.calls.append((function, arguments, options, result))
        if not is_view(function) and not written(function, arguments, options):
            for made in tensors(result):
                self._made.setdefault(made.untyped_storage()._cdata, made)

    def end(self) -> None:
        """A capture runs nothing: put back what was written, and spoil what was made."""
        for made in self._made.values():
            flat = torch.empty(0, dtype=made.dtype).set_(made.untyped_storage())
            flat.fill_(poison(made.dtype))
        for storage, before in self._before.values():
            storage.copy_(before)
        self._before = {}
        self.ended = True

    def replay(self) -> None:
        """Run the calls again, into the memory of the capture."""
        if not self.ended:
            raise RuntimeError("a graph is replayed before its capture has ended")
        with _disable_current_modes(), torch.no_grad():
            for function, arguments, options, result in self.calls:
                if is_view(function):
                    continue
                again = function(*arguments, **options)
                if written(function, arguments, options):
                    continue
                for old, new in zip(tensors(result), tensors(again), strict=True):
                    old.copy_(new)
