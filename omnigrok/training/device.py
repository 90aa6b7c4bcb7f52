"""Where a stack runs: devices, threads, denormals, whether compiling pays."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator
from functools import lru_cache

import torch

from omnigrok.errors import BadInput

# Floating-point operations of a whole stack's training above which compiling (5-8 s a shape on two cores) pays for itself.
COMPILE_FROM = 5e11


@lru_cache(maxsize=1)
def prepare_cpu() -> None:
    """Flush denormals, which make a step up to 12 times slower at small alpha; before the first parallel region: threads inherit it."""
    torch.set_flush_denormal(True)


def choose_device(gpu: bool) -> torch.device:
    """The CPU, or the current CUDA device.

    Raises:
        BadInput: a GPU is asked for and torch sees none.
    """
    prepare_cpu()
    if not gpu:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise BadInput(f"--gpu: torch {torch.__version__} sees no CUDA device; run without --gpu, or install a CUDA build of torch")
    return torch.device("cuda")


def describe(device: torch.device) -> str:
    """The name that stands in records: ``cpu``, or the GPU's own."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def should_compile(operations: float, compilable: bool) -> bool:
    """Whether to compile a stack's step; OMNIGROK_COMPILE=0 or 1 overrides. Without a C++ compiler the answer on a CPU is no."""
    wish = os.environ.get("OMNIGROK_COMPILE")
    if wish in ("0", "1"):
        return wish == "1" and compilable
    can = shutil.which("g++") is not None or shutil.which("clang++") is not None or torch.cuda.is_available()
    return compilable and operations >= COMPILE_FROM and can


@contextlib.contextmanager
def quiet_compiler() -> Iterator[None]:
    """Silence deprecation warnings that torch's compiler raises about its own modules: under ``-W error`` they would end a training."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.filterwarnings("ignore", category=category, module=r"torch(\.|$)")
        yield
