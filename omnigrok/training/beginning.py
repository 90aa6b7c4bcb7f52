"""From Runs to a network and its replicas: data drawn and checked, weights initialized and scaled,
or taken from checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from omnigrok.data import Split, find_task
from omnigrok.errors import BadInput, DataCheckFailed
from omnigrok.models import find_model
from omnigrok.run import Run
from omnigrok.training.contents import Contents, check_seeds
from omnigrok.training.device import drawing_float32
from omnigrok.training.network import Flat, Network
from omnigrok.training.objective import storage_dtype
from omnigrok.training.replicas import Replicas
from omnigrok.training.samples import Samples
from omnigrok.training.sphere import held_square
from omnigrok.training.stackable import shape_key
from omnigrok.training.state import State


def begin(
    runs: Sequence[Run], device: torch.device, root: Path, states: Mapping[Run, State]
) -> tuple[Network, Replicas]:
    """The network that the Runs share, and a replica for each.

    Args:
        runs: of one ``shape_key``.
        device: where they train.
        root: the folder of downloaded data.
        states: checkpoints of all Runs, all at one step; or none.

    Raises:
        BadInput: the Runs do not share a shape or a step, or a data or network option is not
            accepted.
        DataMissing, DataCorrupt, DataCheckFailed: the data are missing or wrong.
    """
    keys = {shape_key(run) for run in runs}
    if len(keys) != 1:
        raise BadInput(f"a stack needs Runs of one shape; these have {len(keys)}")
    steps = {states[run].step if run in states else 0 for run in runs}
    if len(steps) != 1:
        raise BadInput(f"a stack resumes at one step; these checkpoints are at {sorted(steps)}")
    form = runs[0]
    dtype, task, architecture = storage_dtype(form), find_task(form.task), find_model(form.model)
    splits, vectors, buffers = [], [], []
    contents = Contents()
    with torch.random.fork_rng(devices=[]), drawing_float32():
        for run in runs:
            torch.manual_seed(run.seed)
            splits.append(task.split(run, root))
            _check_split(run, splits[-1])
            if not getattr(task, "REPEATED_INPUTS", False):
                contents.check(run, splits[-1])
            model = architecture.build(run).to(dtype)
            with torch.no_grad():
                parameters = [parameter.reshape(-1) for parameter in model.parameters()]
                vectors.append(torch.cat(parameters) * run.alpha)
            buffers.append(dict(model.named_buffers()))
    check_seeds(runs, splits, vectors, contents)
    network = Network(
        form,
        model.to("meta"),
        Flat(model),
        tuple(getattr(model, "carries", ())),
        task.accuracy,
        getattr(architecture, "COMPILE", True),
    )
    weights = torch.stack(vectors).to(device)
    replicas = Replicas(
        list(runs),
        weights,
        torch.zeros_like(weights),
        torch.zeros_like(weights),
        held_square(weights, form.constraint, network.flat.sizes[0]),
        {name: torch.stack([each[name] for each in buffers]).to(device) for name in buffers[0]},
        Samples(splits, dtype, device),
        steps.pop(),
    )
    if states:
        for row, run in enumerate(runs):
            replicas.load(row, states[run])
    return network, replicas


def _check_split(run: Run, split: Split) -> None:
    """Refuse a split of another size, or one that tests on what it trains on."""
    if len(split.train) != run.n_train:
        raise BadInput(
            f"task {run.task}: split gave {len(split.train)} training samples, n_train is "
            f"{run.n_train}"
        )
    shared = np.intersect1d(split.train.numpy(), split.test.numpy())
    if shared.size:
        raise DataCheckFailed(
            f"task {run.task}, seed {run.seed}: {shared.size} samples are in the training set and "
            "in the test set"
        )
