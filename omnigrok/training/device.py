"""Where a stack runs: devices, threads, denormals, whether compiling pays."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch

from omnigrok.errors import BadInput
from omnigrok.training.quota import cpu_quota

log = logging.getLogger(__name__)

# Floating-point operations of a whole stack's training above which compiling pays for itself. A
# shape of the smoke tier's transformers (8e7 operations a step) takes 11 to 15 s of a core to
# compile, and then 1 ms a step less.
COMPILE_FROM = 1e12
# Below this one compiled update serves stacks of every size: it saves a second a shape, and is up
# to a third slower.
ANY_SHAPE_BELOW = 2e13
# Stacks of different shapes that one process may compile; torch's own limit of 8 silently falls
# back to the slow path.
SHAPES = 512


@lru_cache(maxsize=1)
def _flush_in_threads() -> None:
    """Start torch's threads while denormals are flushed: they inherit it for good."""
    torch.ones(1 << 20).add_(1)


@contextlib.contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """The arithmetic of a stack, undone afterwards.

    Denormals, which make a step up to 12 times slower at small alpha, are flushed to zero; on CUDA
    ``tf32`` lets matrix products round their factors to TF32, and everything else forbids it,
    whatever the caller has set: on some CPUs a lower setting of
    ``torch.set_float32_matmul_precision`` changes the numbers too.
    """
    flushed = float(torch.tensor(1e-38) * 1e-3) == 0
    torch.set_flush_denormal(True)
    _flush_in_threads()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(
        "high" if precision == "tf32" and device.type == "cuda" else "highest"
    )
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.set_flush_denormal(flushed)


@contextlib.contextmanager
def drawing_float32() -> Iterator[None]:
    """Initial weights and data are drawn in float32, whatever dtype the caller has made the
    default.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def choose_device(gpu: bool) -> torch.device:
    """The CPU, or the current CUDA device.

    Raises:
        BadInput: a GPU is asked for and torch sees none.
    """
    if not gpu:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise BadInput(
            f"--gpu: torch {torch.__version__} sees no CUDA device; run without --gpu, or install "
            "a CUDA build of torch"
        )
    return torch.device("cuda")


def describe(device: torch.device) -> str:
    """The name in records: ``cpu``, or the GPU's own."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def workers() -> int:
    """Processes of this session on this machine: pytest-xdist's workers, or 1."""
    return max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def cores() -> int:
    """Processor cores that this process may use: those it is bound to, or fewer by a container's
    CPU quota, rounded down.
    """
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, int(min(bound, cpu_quota())))


def core_share() -> int:
    """This worker's share of the cores, at least one."""
    return max(1, cores() // workers())


def share_cores() -> None:
    """Give torch no more threads than this worker's share of the cores; a caller who has set
    OMP_NUM_THREADS keeps that.

    Workers with as many threads as cores each would wait for one another in every matrix product.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), core_share()))


def share_compiler() -> None:
    """Let torch's compiler start no more processes than this worker's share of the cores, unless
    TORCHINDUCTOR_COMPILE_THREADS says so.
    """
    if "TORCHINDUCTOR_COMPILE_THREADS" not in os.environ:
        # Takes a second, so only where something is compiled.
        import torch._inductor.config  # noqa: PLC0415

        torch._inductor.config.compile_threads = core_share()


def memory_share(device: torch.device) -> float:
    """Bytes that one stack may take: of all memory, not of what is free just now, so that every
    worker makes the same plan. On a card it is all: one process at a time trains there.
    """
    if device.type == "cuda" and torch.cuda.is_available():
        return 0.8 * float(torch.cuda.mem_get_info(device)[1])
    return 0.5 * _host_memory() / workers()


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a GPU had too little memory: torch's own error, what CUDA and its libraries say, or
    either behind another error.

    A step that runs out of memory while it is captured as a CUDA graph ends with the error of the
    capture.
    """
    while error is not None:
        text = str(error)
        if (
            isinstance(error, torch.cuda.OutOfMemoryError)
            or "CUDA error: out of memory" in text
            or "ALLOC_FAILED" in text
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _host_memory() -> float:
    """Memory of this machine or of its container, in bytes."""
    total = (
        float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        if hasattr(os, "sysconf")
        else 4e9
    )
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return min(total, float(text)) if text.isdigit() else total


def should_compile(operations: float, compilable: bool, device: torch.device) -> bool:
    """Whether to compile a stack's step: where that pays and a compiler works; OMNIGROK_COMPILE=0
    or 1 overrides.
    """
    wish = os.environ.get("OMNIGROK_COMPILE")
    if wish in ("0", "1"):
        return wish == "1" and compilable
    return compilable and operations >= COMPILE_FROM and compiler_works(device)


@lru_cache(maxsize=2)
def compiler_works(device: torch.device) -> bool:
    """Whether torch.compile can compile anything for the device; tried once a process, on a
    function of one operation.
    """
    try:
        share_compiler()
        with quiet_compiler():
            torch.compile(lambda x: x + 1)(torch.ones(2, device=device))
    except (
        Exception
    ) as error:  # torch wraps what went wrong in many classes, and none of them is public
        reason = next(
            (line for line in str(error).splitlines() if line.strip()), type(error).__name__
        )
        log.warning(
            (
                "omnigrok trains without torch.compile, up to 3 times slower: it does not work "
                "here: %s"
            ),
            reason[:200],
        )
        return False
    return True


def compile_any_shape(operations: float) -> bool:
    """Whether the update is compiled once for all sizes of stacks, rather than for this one."""
    return operations < ANY_SHAPE_BELOW


@contextlib.contextmanager
def quiet_compiler() -> Iterator[None]:
    """Let torch's compiler work: room for many shapes, and no warnings about its own modules, which
    ``-W error`` would raise.
    """
    limits = {"recompile_limit": SHAPES, "accumulated_recompile_limit": SHAPES}
    with warnings.catch_warnings(), torch._dynamo.config.patch(limits):
        for category in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.filterwarnings("ignore", category=category, module=r"torch(\.|$)")
        yield
