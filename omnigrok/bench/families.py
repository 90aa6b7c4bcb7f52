"""The families of networks whose speed is compared, at the paper's sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from omnigrok.bench import graphs, jax_loop, loops
from omnigrok.bench.loops import Advance
from omnigrok.errors import BadInput
from omnigrok.run import Run, freeze


@dataclass(frozen=True)
class Family:
    """One kind of network.

    Args:
        name: as tables show it.
        run: its setting in the paper; nothing is held, nothing is logged.
        layers: (rows, fan_in, fan_out) of the matrix products of one network's forward pass, the
            large ones.
        sizes: stacks on the CPU, and on CUDA.
        by_hand: replicas of the loop with torch.func.
        graphs: whether the plain loop is PyTorch Geometric's.
        jax: stacks that JAX trains, on the CPU.
    """

    name: str
    run: Run
    layers: tuple[tuple[int, int, int], ...]
    sizes: Mapping[str, tuple[int, ...]]
    by_hand: int = 32
    graphs: bool = False
    jax: tuple[int, ...] = ()


def _run(
    task: str,
    model: str,
    n_train: int,
    lr: float,
    data: Mapping[str, object],
    network: Mapping[str, object],
    **more: object,
) -> Run:
    fields = {"seed": 0, "steps": 10**6, "log_every": 10**6, **more}
    return Run(
        task=task,
        model=model,
        n_train=n_train,
        lr=lr,
        data=freeze(data),
        network=freeze(network),
        **fields,  # type: ignore[arg-type]
    )


ALL = {"cpu": (1, 8, 32, 128), "cuda": (1, 8, 32, 128)}
WITH_64 = {"cpu": (1, 8, 32, 64, 128), "cuda": (1, 8, 32, 64, 128)}
IMAGES = {"source": "bundled", "n_test": 10}
PIXELS = {"widths": (784, 200, 200, 10), "activation": "relu"}
DIGITS = ((200, 784, 200), (200, 200, 200), (200, 200, 10))
ATOMS = 29 * 32
# The paper's transformers are trained in float64; float32 is there for the smoke tier, and to show
# what it saves.
MODULAR = _run(
    "modular",
    "transformer",
    3830,
    1e-3,
    {"p": 113},
    {},
    loss="cross_entropy",
    betas=(0.9, 0.98),
    weight_decay=1.0,
)
TOKENS = ((3830, 128, 128), (3830, 128, 512), (3830, 512, 128), (3830, 128, 114))

FAMILIES = {
    family.name: family
    for family in (
        Family(
            "teacher-student",
            _run(
                "teacher_student",
                "mlp",
                100,
                3e-4,
                {"n_test": 10},
                {"widths": (5, 100, 100, 5), "activation": "tanh"},
            ),
            ((100, 5, 100), (100, 100, 100), (100, 100, 5)),
            WITH_64,
            by_hand=64,
            jax=(8, 32),
        ),
        Family(
            "mnist",
            _run("mnist", "mlp", 1000, 1e-3, IMAGES, PIXELS, batch_size=200),
            DIGITS,
            WITH_64,
            by_hand=64,
            jax=(8, 32),
        ),
        Family(
            "messy-mnist",
            _run(
                "mnist_representation",
                "messy_mlp",
                1000,
                1e-3,
                IMAGES,
                PIXELS,
                batch_size=100,
                messiness=0.5,
            ),
            tuple((100, fan_in, fan_out) for _, fan_in, fan_out in DIGITS),
            ALL,
        ),
        Family(
            "addition",
            _run(
                "addition",
                "decoder",
                45,
                1e-3,
                {"representation": "scalar"},
                {"hidden": (200, 200), "activation": "relu"},
            ),
            ((45, 200, 200), (45, 200, 30)),
            ALL,
            by_hand=128,
            jax=(8, 32),
        ),
        Family(
            "transformer",
            MODULAR,
            TOKENS,
            # 128 of them would take 7 GB and half a minute a round.
            {"cpu": (1, 8, 16, 32), "cuda": (1, 8, 16, 32, 128)},
            by_hand=16,
        ),
        Family(
            "transformer-float64",
            MODULAR.replace(precision="float64", loss_precision="float64"),
            TOKENS,
            {"cpu": (1, 8, 16), "cuda": (1, 8, 16, 32, 128)},
            by_hand=16,
        ),
        Family(
            "lstm",
            _run(
                "imdb",
                "lstm",
                1000,
                1e-3,
                {"n_test": 10},
                {"hidden": 128},
                batch_size=50,
                loss="binary_cross_entropy",
            ),
            # 50 of the 500 tokens at a time.
            ((50 * 50, 64, 512), (50 * 50, 128, 512)),
            {"cpu": (1, 8, 32), "cuda": (1, 8, 32, 128)},
            by_hand=8,
        ),
        Family(
            "nnconv",
            _run("qm9", "nnconv", 200, 1e-3, {"n_test": 10}, {"head_hidden": 0}, batch_size=32),
            ((ATOMS, 44, 32), (ATOMS, 32, 16), (ATOMS, 128, 16)),
            ALL,
            graphs=True,
        ),
        Family(
            "graph-conv",
            _run("qm9", "graph_conv", 200, 1e-3, {"n_test": 10}, {}, batch_size=32),
            ((ATOMS, 11, 32), (ATOMS, 32, 16)),
            ALL,
            graphs=True,
        ),
    )
}


@dataclass(frozen=True)
class Variant:
    """One way to train networks of a family.

    Args:
        name: "plain", "on device", "torch.func", "jax N" or "stack N".
        replicas: networks trained at once.
        make: builds it and returns a function that takes a given number of steps.
    """

    name: str
    replicas: int
    make: Callable[[], Advance]


def variant_names(family: Family, device: str) -> list[str]:
    """The names of ``variants``, without building anything."""
    in_jax = [f"jax {size}" for size in family.jax if device == "cpu"]
    return [
        "plain",
        "on device",
        "torch.func",
        *in_jax,
        *(f"stack {size}" for size in family.sizes[device]),
    ]


def variants(family: Family, device: torch.device, root: Path) -> list[Variant]:
    """Every way to train the family's networks on a device, in the order of ``variant_names``."""
    run = family.run

    def runs(count: int) -> list[Run]:
        return [run.replace(seed=seed) for seed in range(count)]

    def plain() -> Advance:
        model, split = loops.build(run, device, root)
        if family.graphs:
            return loops.plain(
                run, graphs.build(run).to(device), loops.from_molecules(run, split, device)
            )
        return loops.plain(run, model, loops.from_loader(run, split, device))

    def on_device() -> Advance:
        model, split = loops.build(run, device, root)
        return loops.plain(run, model, loops.from_device(run, split, device))

    def jax_stacked(size: int) -> Advance:
        return jax_loop.stacked(runs(size), root)

    def stacked(size: int) -> Advance:
        return loops.trainer(runs(size), device, root)

    in_jax = [
        Variant(f"jax {size}", size, partial(jax_stacked, size))
        for size in family.jax
        if device.type == "cpu"
    ]
    stacks = [
        Variant(f"stack {size}", size, partial(stacked, size)) for size in family.sizes[device.type]
    ]
    by_hand = Variant(
        "torch.func", family.by_hand, lambda: loops.by_hand(runs(family.by_hand), device, root)
    )
    return [
        Variant("plain", 1, plain),
        Variant("on device", 1, on_device),
        by_hand,
        *in_jax,
        *stacks,
    ]


def find_family(name: str) -> Family:
    """A family by its name.

    Raises:
        BadInput: there is none.
    """
    if name not in FAMILIES:
        raise BadInput(f"bench: unknown family {name!r}; accepted: {', '.join(FAMILIES)}")
    return FAMILIES[name]
