"""The loops that are compared: plain PyTorch with and without a loader, torch.func by hand, and
this package's trainer.

Each function builds everything and returns a function that takes a given number of steps. No loop
holds a norm or evaluates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.utils.data import DataLoader, TensorDataset

from omnigrok.bench.graphs import geometric
from omnigrok.data import Split, find_task
from omnigrok.data.split import Pool
from omnigrok.models import find_model
from omnigrok.models.lstm import LSTM
from omnigrok.run import Run
from omnigrok.training.calendar import effective_batch
from omnigrok.training.device import arithmetic
from omnigrok.training.objective import storage_dtype
from omnigrok.training.stack import Stack

Advance = Callable[[int], None]
Batch = tuple[tuple[Any, ...], Tensor]
LOSSES: dict[str, Callable[[], nn.Module]] = {
    "mse": nn.MSELoss,
    "cross_entropy": nn.CrossEntropyLoss,
    "binary_cross_entropy": nn.BCEWithLogitsLoss,
}


class TorchLSTM(nn.Module):
    """The network of Figure 4 as people write it: the same weights, with nn.LSTM called."""

    def __init__(self, ours: LSTM) -> None:
        super().__init__()
        self.embedding, self.lstm, self.fc = ours.embedding, ours.lstm, ours.fc

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) tokens to (B,) logits."""
        outputs, _ = self.lstm(self.embedding(tokens.long()))
        logits: Tensor = self.fc(outputs[:, -1]).squeeze(-1)
        return logits


def build(run: Run, device: torch.device, root: Path) -> tuple[nn.Module, Split]:
    """A network and its data as the trainer draws them, in the Run's precision, the network with
    nn.LSTM where ours stands in for it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        split = find_task(run.task).split(run, root)
        model = find_model(run.model).build(run)
    dtype = storage_dtype(run)
    inputs, targets = (
        tuple(each.to(dtype) if each.is_floating_point() else each for each in part)
        for part in (split.pool.inputs, [split.pool.targets])
    )
    return (TorchLSTM(model) if isinstance(model, LSTM) else model).to(device, dtype), Split(
        Pool(inputs, *targets), split.train, split.test
    )


def training_set(split: Split) -> tuple[tuple[Tensor, ...], Tensor]:
    """Inputs and targets of the training samples."""
    return tuple(each[split.train] for each in split.pool.inputs), split.pool.targets[split.train]


def from_loader(run: Run, split: Split, device: torch.device) -> Iterator[Batch]:
    """Shuffled batches of a DataLoader over the samples in memory, moved to the device one by one;
    full batches moved each step.
    """
    inputs, targets = training_set(split)
    if not run.batch_size:
        while True:
            yield tuple(each.to(device) for each in inputs), targets.to(device)
    loader = DataLoader(
        TensorDataset(*inputs, targets), batch_size=effective_batch(run), shuffle=True
    )
    while True:
        for *batch, target in loader:
            yield tuple(each.to(device) for each in batch), target.to(device)


def from_device(run: Run, split: Split, device: torch.device) -> Iterator[Batch]:
    """Shuffled batches of samples that are on the device already."""
    inputs, targets = training_set(split)
    inputs, targets = tuple(each.to(device) for each in inputs), targets.to(device)
    if not run.batch_size:
        while True:
            yield inputs, targets
    while True:
        for chosen in torch.split(
            torch.randperm(len(targets), device=device), effective_batch(run)
        ):
            yield tuple(each[chosen] for each in inputs), targets[chosen]


def from_molecules(run: Run, split: Split, device: torch.device) -> Iterator[Batch]:
    """Batches of PyTorch Geometric's own loader.

    Raises:
        ImportError: it is not installed.
    """
    (nodes, bonds, mask), targets = training_set(split)
    molecules = []
    for k in range(len(targets)):
        atoms = int(mask[k].sum())
        types = bonds[k, :atoms, :atoms].long()
        edges = types.nonzero().T.contiguous()
        kinds = nn.functional.one_hot(types[edges[0], edges[1]] - 1, 4).float()
        molecules.append(
            geometric("data").Data(
                x=nodes[k, :atoms], edge_index=edges, edge_attr=kinds, y=targets[k : k + 1]
            )
        )
    loader = geometric("loader").DataLoader(
        molecules, batch_size=effective_batch(run), shuffle=True
    )
    while True:
        for batch in loader:
            moved = batch.to(device)
            yield (moved,), moved.y


def plain(run: Run, model: nn.Module, batches: Iterator[Batch]) -> Advance:
    """zero_grad, backward, torch.optim.AdamW."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=run.lr, betas=run.betas, weight_decay=run.weight_decay
    )
    loss_of = LOSSES[run.loss]()

    def advance(steps: int) -> None:
        for _ in range(steps):
            inputs, targets = next(batches)
            optimizer.zero_grad()
            loss_of(model(*inputs), targets).backward()
            optimizer.step()

    return advance


def by_hand(runs: Sequence[Run], device: torch.device, root: Path) -> Advance:
    """torch.func as its tutorial on ensembles has it: vmap of grad over stacked parameters,
    torch.optim.AdamW, nothing compiled.
    """
    run = runs[0]
    built = [build(each, device, root) for each in runs]
    # nn.LSTM cannot be mapped over; ours can.
    models = [
        find_model(run.model).build(each).to(device) if run.model == "lstm" else model
        for each, (model, _) in zip(runs, built, strict=True)
    ]
    parameters, buffers = stack_module_state(models)
    template = models[0]
    loss_of = LOSSES[run.loss]()
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=run.lr, betas=run.betas, weight_decay=run.weight_decay
    )
    sets = [training_set(split) for _, split in built]
    inputs = tuple(
        torch.stack(slot).to(device) for slot in zip(*(inputs for inputs, _ in sets), strict=True)
    )
    targets = torch.stack([targets for _, targets in sets]).to(device)
    rows = torch.arange(len(runs), device=device)[:, None]

    def loss(
        weights: dict[str, Tensor], own: dict[str, Tensor], x: tuple[Tensor, ...], y: Tensor
    ) -> Tensor:
        return cast("Tensor", loss_of(functional_call(template, (weights, own), x), y))

    gradient = vmap(grad(loss))

    def advance(steps: int) -> None:
        for _ in range(steps):
            x, y = inputs, targets
            if run.batch_size:
                chosen = torch.rand(len(runs), run.n_train, device=device).argsort(1)[
                    :, : effective_batch(run)
                ]
                x, y = tuple(each[rows, chosen] for each in inputs), targets[rows, chosen]
            for name, value in gradient(parameters, buffers, x, y).items():
                parameters[name].grad = value
            optimizer.step()

    return advance


def trainer(runs: Sequence[Run], device: torch.device, root: Path) -> Advance:
    """This package's trainer; whether it compiles is its own choice, or that of
    OMNIGROK_COMPILE.
    """
    stack = Stack(runs, device, root)

    def advance(steps: int) -> None:
        with arithmetic(stack.form.precision, device):
            stack.take_steps(steps)

    return advance
