"""The native step: ``native_step.cpp``, built once a machine, and what it is told about a stack.

It trains the models ``mlp``, ``decoder`` and ``messy_mlp`` on the CPU. Weights, moments, batches
and checkpoints are those of ``omnigrok.training.stack``, so a stack may change between this step
and torch's at any time. ``OMNIGROK_NATIVE=0`` switches it off; ``OMNIGROK_NATIVE=1`` makes it an
error where it cannot be built, instead of a line in the log.
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
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from omnigrok.errors import BadInput
from omnigrok.files import user_cache
from omnigrok.models.messy_mlp import MessyMLP
from omnigrok.models.mlp import MLP
from omnigrok.training.optimizer import EPS
from omnigrok.training.samples import Shelf

if TYPE_CHECKING:
    from omnigrok.training.stack import Stack

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
# Inputs that are zero in all training samples are left out of the products if they are so large a
# share. Finding them reads the whole training set, and a large one has few.
DEAD_SHARE = 0.1
LARGEST_SEARCHED = 10_000
ACTIVATIONS: dict[type[nn.Module], int] = {nn.Tanh: 0, nn.ReLU: 1, nn.LeakyReLU: 2}
LOSSES = {"mse": 0, "cross_entropy": 1}
CONSTRAINTS = {"free": 0, "rescale": 1, "rescale_double": 2, "published": 3, "tangent": 4}

log = logging.getLogger(__name__)


class Job(ctypes.Structure):
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
        CannotBuild: the user has none. Code is loaded from no folder that somebody else may have
            filled.
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
        if self.functions.job_bytes() != ctypes.sizeof(Job):
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

    def call(self, name: str, job: Job) -> None:
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


@dataclass(frozen=True)
class Shape:
    """A multi-layer perceptron as the native step sees it.

    Args:
        widths: units of each layer, input and output included.
        activation: its code, one of ``ACTIVATIONS``.
        slope: of a leaky ReLU below 0.
    """

    widths: tuple[int, ...]
    activation: int
    slope: float

    @classmethod
    def of(cls, model: nn.Module) -> Shape | None:
        """That of a model that the native step knows; None for others."""
        network = model.network if type(model) is MessyMLP else model
        if type(network) is not MLP:
            return None
        linear, between = (
            [layer for layer in network if isinstance(layer, nn.Linear)],
            list(network)[1::2],
        )
        kind = type(between[0]) if between else nn.ReLU
        if kind not in ACTIVATIONS:
            return None
        widths = (linear[0].in_features, *(layer.out_features for layer in linear))
        return cls(
            widths,
            ACTIVATIONS[kind],
            float(getattr(between[0], "negative_slope", 0.0)) if between else 0.0,
        )


def covers(stack: Stack) -> bool:
    """Whether the native step can train this stack: device, model, loss, samples that fit."""
    shape, form, samples = Shape.of(stack.template), stack.form, stack.samples
    if stack.device.type != "cpu" or shape is None or form.loss not in LOSSES:
        return False
    pixels, *labels = (shelf.values for shelf in samples.inputs)
    targets, width_in, width_out = samples.targets.values, shape.widths[0], shape.widths[-1]
    fits = pixels.dtype == stack.dtype and tuple(pixels.shape[1:]) == (width_in,)
    fits &= (
        sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(shape.widths))
        == stack.weights.shape[1]
    )
    if form.loss == "mse":
        fits &= targets.dtype == stack.dtype and tuple(targets.shape[1:]) == (width_out,)
    else:
        fits &= _are_classes(targets, width_out)
    if type(stack.template) is MessyMLP:
        fits &= len(labels) == 1 and _are_classes(labels[0], stack.buffers["template"].shape[1])
    else:
        fits &= not labels
    # The native step checks no position: one outside the pool would read other memory.
    shelves = (*samples.inputs, samples.targets)
    return fits and all(
        _inside(places, shelf) for shelf in shelves for places in (samples.train, samples.test)
    )


def _are_classes(values: Tensor, classes: int) -> bool:
    return (
        values.ndim == 1
        and values.dtype == torch.int64
        and bool(((values >= 0) & (values < classes)).all())
    )


def _inside(places: Tensor, shelf: Shelf) -> bool:
    return bool(((places >= 0) & (places + shelf.offsets < len(shelf.values))).all())


def _live_runs(stack: Stack) -> dict[str, Tensor]:
    """The inputs that are not zero in all training samples of a replica, as ``Job`` has them.

    Empty where so few are zero that all are kept.
    """
    samples, sizes = stack.samples, stack.samples.train_real.sum(1).tolist()
    pool = samples.inputs[0]
    if len(samples.inputs) > 1 or max(sizes) > LARGEST_SEARCHED:
        return {}
    chosen = [
        places[:size] + offset
        for places, size, offset in zip(samples.train, sizes, pool.offsets, strict=True)
    ]
    live = torch.stack([(pool.values[rows] != 0).any(0) for rows in chosen])
    if live.float().mean() > 1 - DEAD_SHARE or not live.any(1).all():
        return {}
    edges = torch.nn.functional.pad(live, (1, 1)).diff(dim=1)  # True where a run begins or ends
    places = edges.nonzero()[:, 1].view(-1, 2)
    runs = edges.sum(1) // 2
    return {
        "run_starts": places[:, 0].contiguous(),
        "run_lengths": (places[:, 1] - places[:, 0]).contiguous(),
        "first_run": torch.nn.functional.pad(runs.cumsum(0), (1, 0)),
    }


class NativeStep:
    """The native step of one stack.

    Args:
        stack: one that ``covers``; made anew when replicas leave it.
    """

    def __init__(self, stack: Stack, built: Library) -> None:
        shape, form = Shape.of(stack.template), stack.form
        assert shape is not None
        self.built = built
        self.kind = "double" if stack.dtype == torch.float64 else "float"
        self.widths = torch.tensor(shape.widths)
        self.width_out = shape.widths[-1]
        self.sizes = stack.samples.train_real.sum(1)
        self.runs = _live_runs(stack)
        self.fixed: dict[str, Any] = {
            "replicas": len(stack.runs),
            "parameters": stack.weights.shape[1],
            "layers": len(self.widths) - 1,
            "activation": shape.activation,
            "loss": LOSSES[form.loss],
            "constraint": CONSTRAINTS[form.constraint],
            "loss_in_double": form.loss_precision == "float64",
            "slope": shape.slope,
            "one_minus_beta1": 1 - form.betas[0],
            "beta2": form.betas[1],
            "one_minus_beta2": 1 - form.betas[1],
            "eps": EPS,
            "clip": form.clip,
            **built.products,
        }

    def _job(self, stack: Stack, **changing: Any) -> tuple[Job, list[Tensor]]:
        """A job, with the tensors that must outlive it; tensors stand for their addresses."""
        samples = stack.samples
        tensors = {
            "widths": self.widths,
            "weights": stack.weights,
            "first": stack.first,
            "second": stack.second,
            "held": stack.held,
            "inputs": samples.inputs[0].values,
            "input_offsets": samples.inputs[0].offsets,
            "targets": samples.targets.values,
            "target_offsets": samples.targets.offsets,
        }
        if len(samples.inputs) == 2:
            tensors |= {
                "labels": samples.inputs[1].values,
                "label_offsets": samples.inputs[1].offsets,
            }
            tensors |= {
                "messiness": stack.buffers["messiness"],
                "templates": stack.buffers["template"],
            }
            changing["classes"] = stack.buffers["template"].shape[1]
        tensors |= {name: value for name, value in changing.items() if isinstance(value, Tensor)}
        plain = {name: value for name, value in changing.items() if not isinstance(value, Tensor)}
        # Kept contiguous by the stack; asserted because a copy would be trained instead.
        assert all(tensors[name].is_contiguous() for name in ("weights", "first", "second"))
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        addresses = {name: tensor.data_ptr() for name, tensor in whole.items()}
        job = Job(**self.fixed, **addresses, **plain, threads=torch.get_num_threads())
        return job, list(whole.values())

    def train(self, stack: Stack, count: int) -> None:
        """Take the first ``count`` steps that are laid out in the stack's feed."""
        feed, columns = stack.feed, stack.feed.columns
        batches: dict[str, Any] = {"counts": self.sizes, "batch": stack.samples.train.shape[1]}
        if not feed.whole:
            real = columns.get("real")
            counts = (
                torch.full((count, len(stack.runs)), feed.width)
                if real is None
                else real[:count].sum(2)
            )
            batches = {"positions": columns["positions"], "counts": counts, "batch": feed.width}
        job, kept = self._job(
            stack,
            steps=count,
            train=stack.samples.train,
            train_width=stack.samples.train.shape[1],
            decay=columns["decay"],
            step_size=columns["step_size"],
            second_scale=columns["second"],
            **self.runs,
            **batches,
        )
        self.built.call(f"train_{self.kind}", job)
        del kept

    def outputs(self, stack: Stack, positions: Tensor, sizes: Tensor) -> Tensor:
        """(R, n, outputs) of all replicas at pool ``positions`` (R, n); the first ``sizes`` (R,)
        count.
        """
        outputs = torch.empty(*positions.shape, self.width_out, dtype=stack.dtype)
        job, kept = self._job(
            stack,
            train=positions,
            train_width=positions.shape[1],
            batch=positions.shape[1],
            counts=sizes,
            outputs=outputs,
        )
        self.built.call(f"outputs_{self.kind}", job)
        del kept
        return outputs


def native_step(stack: Stack) -> NativeStep | None:
    """The native step for a stack; None if it does not cover it, or there is none."""
    if not covers(stack):
        return None
    built = library()
    return None if built is None else NativeStep(stack, built)
