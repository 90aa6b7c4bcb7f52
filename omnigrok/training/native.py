"""The native step: what ``native_step.cpp`` is told about a stack.

It trains the models ``mlp``, ``decoder`` and ``messy_mlp`` on the CPU. Weights, moments, batches
and checkpoints are those of ``omnigrok.training.replicas``, so a stack may change between this step
and torch's at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from omnigrok.models.messy_mlp import MessyMLP
from omnigrok.models.mlp import MLP
from omnigrok.training.feed import Feed
from omnigrok.training.native_library import Library, NativeCall, library
from omnigrok.training.network import Network
from omnigrok.training.optimizer import EPS
from omnigrok.training.replicas import Replicas
from omnigrok.training.samples import Samples, Shelf

# Inputs that are zero in all training samples are left out of the products if they are so large a
# share. Finding them reads the whole training set, and a large one has few.
DEAD_SHARE = 0.1
LARGEST_SEARCHED = 10_000
ACTIVATIONS: dict[type[nn.Module], int] = {nn.Tanh: 0, nn.ReLU: 1, nn.LeakyReLU: 2}
LOSSES = {"mse": 0, "cross_entropy": 1}
CONSTRAINTS = {"free": 0, "rescale": 1, "rescale_double": 2, "published": 3, "tangent": 4}


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


def covers(network: Network, replicas: Replicas) -> bool:
    """Whether the native step can train these: device, model, loss, samples that fit."""
    shape, form, samples = Shape.of(network.template), network.form, replicas.samples
    weights, buffers = replicas.weights, replicas.buffers
    if weights.device.type != "cpu" or shape is None or form.loss not in LOSSES:
        return False
    pixels, *labels = (shelf.values for shelf in samples.inputs)
    targets, width_in, width_out = samples.targets.values, shape.widths[0], shape.widths[-1]
    fits = pixels.dtype == weights.dtype and tuple(pixels.shape[1:]) == (width_in,)
    fits &= (
        sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(shape.widths))
        == weights.shape[1]
    )
    if form.loss == "mse":
        fits &= targets.dtype == weights.dtype and tuple(targets.shape[1:]) == (width_out,)
    else:
        fits &= _are_classes(targets, width_out)
    if type(network.template) is MessyMLP:
        fits &= len(labels) == 1 and _are_classes(labels[0], buffers["template"].shape[1])
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


def _live_runs(samples: Samples) -> dict[str, Tensor]:
    """The inputs that are not zero in all training samples of a replica, as ``Job`` has them.

    Empty where so few are zero that all are kept.
    """
    sizes = samples.train_real.sum(1).tolist()
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
        network, replicas: that it ``covers``; made again when replicas leave.
    """

    def __init__(self, network: Network, replicas: Replicas, built: Library) -> None:
        shape, form = Shape.of(network.template), network.form
        assert shape is not None
        self.built = built
        self.kind = "double" if replicas.weights.dtype == torch.float64 else "float"
        self.widths = torch.tensor(shape.widths)
        self.width_out = shape.widths[-1]
        self.sizes = replicas.samples.train_real.sum(1)
        self.runs = _live_runs(replicas.samples)
        self.fixed: dict[str, Any] = {
            "replicas": len(replicas.runs),
            "parameters": replicas.weights.shape[1],
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

    def _job(self, replicas: Replicas, **changing: Any) -> tuple[NativeCall, list[Tensor]]:
        """A job, with the tensors that must outlive it; tensors stand for their addresses."""
        samples = replicas.samples
        tensors = {
            "widths": self.widths,
            "weights": replicas.weights,
            "first": replicas.first,
            "second": replicas.second,
            "held": replicas.held,
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
                "messiness": replicas.buffers["messiness"],
                "templates": replicas.buffers["template"],
            }
            changing["classes"] = replicas.buffers["template"].shape[1]
        tensors |= {name: value for name, value in changing.items() if isinstance(value, Tensor)}
        plain = {name: value for name, value in changing.items() if not isinstance(value, Tensor)}
        # Kept contiguous by the stack; asserted because a copy would be trained instead.
        assert all(tensors[name].is_contiguous() for name in ("weights", "first", "second"))
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        addresses = {name: tensor.data_ptr() for name, tensor in whole.items()}
        job = NativeCall(**self.fixed, **addresses, **plain, threads=torch.get_num_threads())
        return job, list(whole.values())

    def train(self, replicas: Replicas, feed: Feed, count: int) -> None:
        """Take the first ``count`` steps that are laid out in the feed."""
        columns = feed.columns
        batches: dict[str, Any] = {"counts": self.sizes, "batch": replicas.samples.train.shape[1]}
        if not feed.whole:
            real = columns.get("real")
            counts = (
                torch.full((count, len(replicas.runs)), feed.width)
                if real is None
                else real[:count].sum(2)
            )
            batches = {"positions": columns["positions"], "counts": counts, "batch": feed.width}
        job, kept = self._job(
            replicas,
            steps=count,
            train=replicas.samples.train,
            train_width=replicas.samples.train.shape[1],
            decay=columns["decay"],
            step_size=columns["step_size"],
            second_scale=columns["second"],
            **self.runs,
            **batches,
        )
        self.built.call(f"train_{self.kind}", job)
        del kept

    def outputs(self, replicas: Replicas, positions: Tensor, sizes: Tensor) -> Tensor:
        """(R, n, outputs) of all replicas at pool ``positions`` (R, n); the first ``sizes`` (R,)
        count.
        """
        outputs = torch.empty(*positions.shape, self.width_out, dtype=replicas.weights.dtype)
        job, kept = self._job(
            replicas,
            train=positions,
            train_width=positions.shape[1],
            batch=positions.shape[1],
            counts=sizes,
            outputs=outputs,
        )
        self.built.call(f"outputs_{self.kind}", job)
        del kept
        return outputs


def native_step(network: Network, replicas: Replicas) -> NativeStep | None:
    """The native step of a stack; None if it does not cover it, or there is none."""
    if not covers(network, replicas):
        return None
    built = library()
    return None if built is None else NativeStep(network, replicas, built)
