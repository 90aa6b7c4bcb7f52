"""A tensor on the simulated card: a wrapper around a CPU tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from simcuda.graph import leaves

if TYPE_CHECKING:
    from simcuda.dispatch import Dispatch
    from simcuda.memory import Allocation

# For torch's own C++ code: autograd accepts no wrapper on "cuda" in a build without CUDA.
INNER_DEVICE = torch.device("meta")
CARD = torch.device("cuda", 0)


class CardTensor(Tensor):
    """Says that it is on ``cuda:0``; every call on it goes to the dispatcher.

    Args:
        twin: the CPU tensor with the values.
        dispatch: of the card.
        allocation: keeps the memory counted.
    """

    twin: Tensor
    dispatch: Dispatch
    allocation: Allocation
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(
        cls: type[CardTensor], twin: Tensor, dispatch: Dispatch, allocation: Allocation
    ) -> CardTensor:
        made: CardTensor = Tensor._make_wrapper_subclass(
            cls,
            twin.size(),
            strides=twin.stride(),
            storage_offset=twin.storage_offset(),
            dtype=twin.dtype,
            layout=twin.layout,
            device=INNER_DEVICE,
            requires_grad=False,
        )
        made.twin, made.dispatch, made.allocation = twin, dispatch, allocation
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        given = leaves([*args, *options.values()])
        owner = next(each for each in given if isinstance(each, CardTensor))
        return owner.dispatch.call(function, args, options)

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where a program believes it is."""
        return CARD

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def __repr__(self, **_: object) -> str:  # type: ignore[override]
        return f"CardTensor({self.twin!r})"

    def __getitem__(self, key: Any) -> Any:
        """As torch: a list in an index is copied to the card."""

        def moved(part: Any) -> Any:
            return torch.tensor(part, device=CARD) if isinstance(part, list) else part

        return super().__getitem__(
            tuple(moved(part) for part in key) if isinstance(key, tuple) else moved(key)
        )

    def tolist(self) -> Any:
        self.dispatch.wait("tolist")
        return self.twin.tolist()

    def numpy(self, *_: object, **__: object) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def __array__(self, *_: object, **__: object) -> Any:
        return self.numpy()
