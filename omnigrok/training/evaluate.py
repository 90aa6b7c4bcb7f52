"""Train and test metrics of all replicas of a stack at one step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from omnigrok.training.calendar import evaluation_sample
from omnigrok.training.native import NativeStep
from omnigrok.training.network import Network
from omnigrok.training.objective import per_sample_loss
from omnigrok.training.replicas import Replicas
from omnigrok.training.sphere import held_square, rescale_
from omnigrok.training.work import evaluation_floats

# Numbers of an input held at once while evaluating on a CPU: bounds the memory on large test sets.
ENTRIES = 64_000_000
# Share of a card's memory for what an evaluation holds: none of what a stack trains with is free
# then, since the memory of a captured step serves nothing else.
SHARE = 0.1


def _judged(network: Network, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """name to (B,) of one network."""
    return {
        "loss": per_sample_loss(network.form, outputs, targets),
        **network.accuracy(network.form, outputs, targets),
    }


def _scores(
    network: Network,
    weights: Tensor,
    buffers: dict[str, Tensor],
    inputs: tuple[Tensor, ...],
    targets: Tensor,
) -> dict[str, Tensor]:
    """name to (B,) of one network."""
    outputs = functional_call(network.template, (network.flat.split(weights), buffers), inputs)
    if network.carries:
        outputs, _ = outputs
    return _judged(network, outputs, targets)


def _native_means(
    network: Network, replicas: Replicas, native: NativeStep, positions: Tensor, real: Tensor
) -> dict[str, Tensor]:
    """As ``_means``, with the outputs of the native step, which needs no copy of the inputs."""
    size, width = real.sum(1), max(1, ENTRIES // len(positions) // native.width_out)
    sums: dict[str, Tensor] = {}
    for start in range(0, positions.shape[1], width):
        part, kept = (
            positions[:, start : start + width].contiguous(),
            real[:, start : start + width],
        )
        outputs = native.outputs(replicas, part, kept.sum(1))
        targets, axis = replicas.samples.targets.take_shared(part)
        for name, values in vmap(partial(_judged, network), in_dims=(0, axis))(
            outputs, targets
        ).items():
            # What only fills a row up is not an output.
            total = values.to(torch.float64).masked_fill(~kept, 0).sum(1)
            sums[name] = sums[name] + total if name in sums else total
    return {name: total / size for name, total in sums.items()}


def _means(
    network: Network, replicas: Replicas, positions: Tensor, real: Tensor
) -> dict[str, Tensor]:
    """name to (R,) mean over each replica's samples at pool ``positions`` (R, n); those that count,
    ``real``, come first in a row.
    """
    # What a model carries between batches starts from zero here.
    buffers = {
        name: torch.zeros_like(values) if name in network.carries else values
        for name, values in replicas.buffers.items()
    }
    size = real.sum(1)
    sums: dict[str, Tensor] = {}
    for start, end, rows in _pieces(size.tolist(), _at_once(network, replicas)):
        whole = len(rows) == len(positions)
        index = torch.tensor(rows, device=positions.device)
        part = positions[:, start:end] if whole else positions[index, start:end]
        offsets = torch.stack(
            [
                shelf.offsets if whole else shelf.offsets[index]
                for shelf in (*replicas.samples.inputs, replicas.samples.targets)
            ]
        )
        weights = replicas.weights if whole else replicas.weights[index]
        own = buffers if whole else {name: values[index] for name, values in buffers.items()}
        axis: int | None = 0
        if bool((part == part[:1]).all()) and bool((offsets == offsets[:, :1]).all()):
            row, axis = rows[:1], None
            inputs, targets = replicas.samples.take(part[:1], row)
            inputs, targets = tuple(each[0] for each in inputs), targets[0]
        else:
            inputs, targets = replicas.samples.take(part, None if whole else rows)
        scores = vmap(lambda w, b, x, y: _scores(network, w, b, x, y), in_dims=(0, 0, axis, axis))(
            weights, own, inputs, targets
        )
        for name, values in scores.items():
            if name not in sums:
                sums[name] = torch.zeros(
                    len(positions), dtype=torch.float64, device=positions.device
                )
            sums[name].index_add_(0, index, values.to(torch.float64).sum(1))
    return {name: total / size for name, total in sums.items()}


def _at_once(network: Network, replicas: Replicas) -> int:
    """Samples of all replicas that are evaluated at once."""
    weights = replicas.weights
    if weights.device.type == "cuda":
        numbers = SHARE * torch.cuda.mem_get_info(weights.device)[1] / weights.element_size()
        return int(numbers / evaluation_floats(network.form))
    return ENTRIES // max(int(shelf.values[0].numel()) for shelf in replicas.samples.inputs)


def _pieces(sizes: list[int], limit: int) -> Iterator[tuple[int, int, list[int]]]:
    """(first column, end, rows with samples there): what only fills a row up is not evaluated, and
    ``limit`` bounds what is held.
    """
    start = 0
    for end in sorted(set(sizes)):
        rows = [row for row, size in enumerate(sizes) if size >= end]
        width = max(1, limit // len(rows))
        for first in range(start, end, width):
            yield first, min(first + width, end), rows
        start = end


def _drawn(
    network: Network, replicas: Replicas, positions: Tensor, real: Tensor, which: int
) -> tuple[Tensor, Tensor]:
    """The positions to evaluate on: all, or a fresh random sample of each replica
    (published code).
    """
    if not network.form.eval_samples:
        return positions, real
    sizes = real.sum(1).tolist()
    width = min(network.form.eval_samples, max(sizes))
    picks = torch.zeros(len(sizes), width, dtype=torch.int64)
    kept = torch.zeros(len(sizes), width, dtype=torch.bool)
    for row, (run, size) in enumerate(zip(replicas.runs, sizes, strict=True)):
        sample = evaluation_sample(run, replicas.step, int(size), which)
        picks[row, : len(sample)] = torch.as_tensor(sample)
        kept[row, : len(sample)] = True
    return positions.gather(1, picks.to(positions.device)), kept.to(positions.device)


@torch.no_grad()
def evaluate(
    network: Network, replicas: Replicas, native: NativeStep | None = None
) -> dict[str, list[float]]:
    """Column name to R values: ``train_*`` and ``test_*`` means, ``weight_norm``, and the norm as
    the published code counts it.

    Losses are read where the weights are: under ``published`` that is one Adam step off the sphere;
    the norms are those after rescaling.

    Args:
        native: makes the outputs where it is given.
    """
    columns: dict[str, Tensor] = {}
    for prefix, which, positions, real in (
        ("train", 0, replicas.samples.train, replicas.samples.train_real),
        ("test", 1, replicas.samples.test, replicas.samples.test_real),
    ):
        if positions.shape[1] == 0:
            continue
        chosen, kept = _drawn(network, replicas, positions, real, which)
        means = (
            _means(network, replicas, chosen, kept)
            if native is None
            else _native_means(network, replicas, native, chosen, kept)
        )
        columns |= {f"{prefix}_{name}": values for name, values in means.items()}
    weights = replicas.weights
    if network.form.constraint == "published":
        weights = weights.clone()
        rescale_(weights, replicas.held, "published", network.flat.sizes[0])
    for name, constraint in (("weight_norm", "free"), ("weight_norm_double", "published")):
        columns[name] = held_square(weights.double(), constraint, network.flat.sizes[0]).sqrt()
    # One transfer for all columns.
    table = torch.stack(list(columns.values())).cpu().tolist()
    return dict(zip(columns, table, strict=True))
