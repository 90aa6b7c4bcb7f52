"""The library of the native step: ``native_step.cpp``, built once a machine, and what a call to it
reads and writes.

``OMNIGROK_NATIVE=0`` switches it off; ``OMNIGROK_NATIVE=1`` makes it an error where it cannot be
built, instead of a line in the log.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import torch

from omnigrok.errors import BadInput
from omnigrok.files import user_cache

SOURCE = Path(__file__).with_name("native_step.cpp")
# Fused multiply-adds and vector instructions of this CPU; sums are reordered only in loops that ask
# for it.
FLAGS = (
    "-O3",
    "-march=native",
    "-std=c++17",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-shared",
    "-fPIC",
)
BUILD_SECONDS = 120

log = logging.getLogger(__name__)


class NativeCall(ctypes.Structure):
    """What a call reads and writes: the struct ``Job`` of the source, which explains the fields."""

    _fields_ = (
        *(
            (name, ctypes.c_int64)
            for name in ("replicas", "steps", "threads", "parameters", "layers")
        ),
        ("widths", ctypes.c_void_p),
        *(
            (name, ctypes.c_int64)
            for name in ("activation", "loss", "constraint", "loss_in_double")
        ),
        *(
            (name, ctypes.c_double)
            for name in ("slope", "one_minus_beta1", "beta2", "one_minus_beta2", "eps", "clip")
        ),
        *(
            (name, ctypes.c_void_p)
            for name in ("weights", "first", "second", "held", "inputs", "input_offsets")
        ),
        *(
            (name, ctypes.c_void_p)
            for name in ("targets", "target_offsets", "labels", "label_offsets")
        ),
        *((name, ctypes.c_void_p) for name in ("messiness", "templates")),
        ("classes", ctypes.c_int64),
        ("train", ctypes.c_void_p),
        ("train_width", ctypes.c_int64),
        ("positions", ctypes.c_void_p),
        ("batch", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("counts", "decay", "step_size", "second_scale")),
        *(
            (name, ctypes.c_void_p)
            for name in ("run_starts", "run_lengths", "first_run", "outputs")
        ),
        *((name, ctypes.c_void_p) for name in ("sgemm", "dgemm", "set_threads")),
    )


class CannotBuild(Exception):
    """Why there is no native step on this machine."""


def compiler() -> str:
    """The C++ compiler: CXX, g++ or clang++.

    Raises:
        CannotBuild: there is none.
    """
    found = next(
        filter(None, map(shutil.which, (os.environ.get("CXX", ""), "g++", "clang++"))), None
    )
    if found is None:
        raise CannotBuild("there is no C++ compiler")
    return found


def _processor() -> str:
    """What -march=native depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        return "\n".join(
            sorted({line for line in lines if line.startswith(("flags", "model name"))})
        )
    return f"{platform.machine()} {platform.processor()}"


def library_path() -> Path:
    """Where the library for this source, torch and CPU is kept, below the user's cache folder.

    Raises:
        CannotBuild: the user has no such folder. Code is never loaded from a folder that
            somebody else may have filled.
    """
    cache = user_cache()
    if cache is None:
        raise CannotBuild("there is no home folder to keep the built step in")
    parts = (SOURCE.read_text(), " ".join(FLAGS), torch.__version__, _processor())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache / "native" / f"step-{key}.so"


def build(target: Path) -> None:
    """Compile the source into ``target``, which appears whole or not at all.

    Raises:
        CannotBuild: there is no compiler, it fails, or the folder cannot be written.
    """
    command = compiler()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            built = Path(folder) / target.name
            subprocess.run(  # noqa: S603 (our own source)
                [command, *FLAGS, str(SOURCE), "-o", str(built)],
                check=True,
                capture_output=True,
                text=True,
                timeout=BUILD_SECONDS,
            )
            built.replace(target)
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise CannotBuild(f"{command} ended with {error.returncode}: {said[:200]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(f"{command}: {error}") from error


class Library:
    """The built functions, and torch's matrix products.

    Raises:
        CannotBuild: torch has no MKL, or the library cannot be built or loaded.
    """

    def __init__(self) -> None:
        blas = self._blas()
        path = library_path()
        if not path.exists():
            build(path)
        try:
            self.functions = ctypes.CDLL(str(path))
        except OSError as error:
            raise CannotBuild(str(error)) from error
        self.functions.job_bytes.restype = ctypes.c_int64
        if self.functions.job_bytes() != ctypes.sizeof(NativeCall):
            raise CannotBuild(f"{path} is of another version; delete it")
        self.products = {
            name: ctypes.cast(getattr(blas, symbol), ctypes.c_void_p).value
            for name, symbol in (
                ("sgemm", "sgemm_"),
                ("dgemm", "dgemm_"),
                ("set_threads", "MKL_Set_Num_Threads_Local"),
            )
        }

    @staticmethod
    def _blas() -> ctypes.CDLL:
        try:
            blas = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
            for symbol in ("sgemm_", "dgemm_", "MKL_Set_Num_Threads_Local"):
                getattr(blas, symbol)
        except (OSError, AttributeError) as error:
            raise CannotBuild(f"torch {torch.__version__} comes without MKL") from error
        return blas

    def call(self, name: str, job: NativeCall) -> None:
        """Call ``train`` or ``outputs``, in the precision that its name ends with.

        Raises:
            MemoryError: there was too little for the networks' activations.
        """
        if getattr(self.functions, name)(ctypes.byref(job)):
            raise MemoryError("too little memory for the activations of the stack's networks")


@lru_cache(maxsize=1)
def _attempt() -> tuple[Library | None, str]:
    """The library, or why there is none; tried once a process."""
    try:
        return Library(), ""
    except CannotBuild as error:
        log.warning(
            (
                "omnigrok trains small networks with torch's step, up to 3 times slower than its "
                "own: %s"
            ),
            error,
        )
        return None, str(error)


def library() -> Library | None:
    """The native step of this machine, built at the first call; None if switched off or not to be
    had.

    Raises:
        BadInput: OMNIGROK_NATIVE is neither 0 nor 1, or is 1 and the step cannot be built.
    """
    wish = os.environ.get("OMNIGROK_NATIVE", "")
    if wish not in ("", "0", "1"):
        raise BadInput(
            f"OMNIGROK_NATIVE={wish} is not accepted; 0 (torch's step) or 1 (the native step, or "
            "an error)"
        )
    if wish == "0":
        return None
    found, why = _attempt()
    if wish == "1" and found is None:
        raise BadInput(f"OMNIGROK_NATIVE=1: the native step cannot be built: {why}")
    return found
