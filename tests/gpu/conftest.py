"""Tiny settings, and a limit on the memory of a GPU."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
import torch

from omnigrok.run import Run
from tiny_families import FAMILIES, assert_near, replicas


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Run:
    """A Run of a dozen logged steps in float64."""
    return FAMILIES[request.param]


@pytest.fixture
def student() -> Run:
    """The full-batch one."""
    return FAMILIES["full batch"]


@pytest.fixture(scope="session")
def gpu() -> torch.device:
    return torch.device("cuda")


@pytest.fixture(scope="session", name="replicas")
def _replicas() -> Callable[[Run, int], list[Run]]:
    return replicas


@pytest.fixture(scope="session", name="assert_near")
def _assert_near() -> Callable[..., None]:
    return assert_near


@pytest.fixture
def limited(gpu: torch.device) -> Iterator[Callable[[float], None]]:
    """Lets this process have only so many bytes of the GPU's memory more than it has now; libraries
    take up to 32 MB a stream of them.
    """
    total = torch.cuda.get_device_properties(gpu).total_memory

    def limit(more: float) -> None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(
            min(1.0, (torch.cuda.memory_reserved(gpu) + more) / total), torch.cuda.current_device()
        )

    yield limit
    limit(total)
