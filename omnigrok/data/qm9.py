"""QM9 (Section 4, Figure 5; Appendix A): isotropic polarizability of small molecules, in Bohr^3,
from their graphs.

The bundled table has every one of the 130,831 molecules; graphs are made from it when they are
needed, so nothing is downloaded.

The published code counts training and test molecules together: its N is 2 ``n_train``. The text's N
is ``n_train``. Two things differ from the authors' inputs and cannot be had without their file of
3-D structures: which of two equal Kekule structures an aromatic ring gets, and the bonds of the
molecules whose structure file disagrees with the SMILES (PyTorch Geometric's issue 10560).
"""

from __future__ import annotations

import csv
import functools
import hashlib
import lzma
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from omnigrok.data.molecule import Graph, graph, pad
from omnigrok.data.split import Pool, Split
from omnigrok.errors import BadInput, DataCorrupt, DataMissing
from omnigrok.options import DataOptions, Size
from omnigrok.run import Run

# 1: features of PyTorch Geometric by RDKit; targets in Bohr^3; scores acc, target, target_square.
VERSION = 1
# RDKit perceives the rings and bond types that the features come from.
LIBRARIES = ("rdkit",)

TABLE = "bundled/qm9.csv.xz"
TABLE_SHA256 = "a9de5d57f899259fdfb92c6b20e3796f78628b7706a50f88f83deda44e24dff5"
MOLECULES = 130_831
# Atoms of the largest molecule: what random subsets are padded to, so that those of all seeds have
# one shape.
MOST_ATOMS = 29
# Variance of the polarizability over the whole table, in Bohr^6.
VARIANCE = 66.811
Features = Literal["pyg", "perceived"]


class Options(DataOptions):
    """Options of ``Run.data`` (Section 4, Appendix A).

    Args:
        subset: "first" splits the first n_train + n_test molecules of the table at random, the
            smallest ones (protocol ``code``); "random" draws from all of it (``paper``).
        features: "pyg" or "perceived" (``omnigrok.data.molecule``); the text is silent.
        n_test: test molecules; null for as many as ``n_train`` (the text: "50/50"). More give a
            less noisy test loss.
        shuffle_labels: permutes the training targets among themselves, as a control; split, weights
            and test targets are as without it.
    """

    subset: Literal["first", "random"] = "random"
    features: Features = "pyg"
    n_test: Size | None = None
    shuffle_labels: bool = False


@functools.cache
def table() -> tuple[tuple[str, ...], Tensor]:
    """SMILES and polarizabilities (130831,) float64, in Bohr^3, in the order of the GDB-9 index,
    which is PyTorch Geometric's.

    Raises:
        DataMissing: the bundled table is not there.
        DataCorrupt: the bundled table is not the published one.
    """
    source = resources.files("omnigrok.data").joinpath(TABLE)
    try:
        packed = source.read_bytes()
    except FileNotFoundError:
        raise DataMissing(
            f"qm9: omnigrok/data/{TABLE} is part of the package and is not there; install omnigrok "
            "again"
        ) from None
    if hashlib.sha256(packed).hexdigest() != TABLE_SHA256:
        raise DataCorrupt(
            f"qm9: omnigrok/data/{TABLE} is truncated or altered (its SHA-256 is wrong); install "
            "omnigrok again"
        )
    rows = list(csv.reader(lzma.decompress(packed).decode().splitlines()))[1:]
    return tuple(row[1] for row in rows), torch.tensor(
        [float(row[2]) for row in rows], dtype=torch.float64
    )


@functools.cache
def _graph(row: int, perceived: bool) -> Graph:
    return graph(table()[0][row], perceived)


def pool_of(rows: tuple[int, ...], features: Features, atoms: int = 0) -> Pool:
    """The molecules in these rows of the table.

    Args:
        rows: n positions in the table, from 0.
        features: as of ``Options``.
        atoms: A, to which every molecule is padded; 0 takes the largest of these molecules.

    Returns:
        Inputs: node features (n, A, 11) float32, bond types (n, A, A) uint8 and mask (n, A)
            float32; targets (n, 1) float32, in Bohr^3.
    """
    graphs = [_graph(row, features == "perceived") for row in rows]
    inputs = pad(graphs, atoms or max(len(nodes) for nodes, _ in graphs))
    return Pool(inputs, table()[1][list(rows)].float().unsqueeze(-1))


@functools.lru_cache(maxsize=8)
def first(total: int, features: Features) -> Pool:
    """The first ``total`` molecules of the table: the smallest ones."""
    return pool_of(tuple(range(total)), features)


def split(run: Run, root: Path) -> Split:
    """Draws molecules and their split; the model draws next in the same stream, which for seed 0
    and "first" is the authors' own.

    Raises:
        BadInput: an option is not accepted, or there are too few molecules.
        DataMissing: RDKit is not installed.
        DataCorrupt: the bundled table is damaged.
    """
    options = Options.of(run)
    n_test = run.n_train if options.n_test is None else options.n_test
    total = run.n_train + n_test
    if total > MOLECULES:
        raise BadInput(
            f"Run: n_train = {run.n_train} is not accepted; with {n_test} test molecules it is "
            f"more than QM9's {MOLECULES}"
        )
    torch.manual_seed(run.seed)
    if options.subset == "first":
        pool = first(total, options.features)
        order = torch.randperm(total)
    else:
        pool = pool_of(
            tuple(torch.randperm(MOLECULES)[:total].tolist()), options.features, MOST_ATOMS
        )
        order = torch.arange(total)
    train, test = order[: run.n_train], order[run.n_train :]
    if options.shuffle_labels:
        own = torch.Generator().manual_seed(run.seed)
        targets = pool.targets.clone()
        targets[train] = targets[train[torch.randperm(run.n_train, generator=own)]]
        pool = Pool(pool.inputs, targets)
    return Split(pool, train, test)


def accuracy(run: Run, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """Scores of (n, 1) outputs and targets; the paper gives none, and the claims about Figure 5 are
    about the loss.

    ``acc`` is the share of molecules whose squared error is under 1 % of the variance of all QM9
    polarizabilities (an error under 0.82 Bohr^3). ``target`` and ``target_square`` are the targets
    (Bohr^3) and their squares, not scores: their means give the variance of the targets, against
    which the time to fit is defined, from the curves alone.
    """
    error = (outputs - targets).squeeze(-1)
    target = targets.squeeze(-1).to(outputs.dtype)
    return {
        "acc": (error.square() < 0.01 * VARIANCE).to(outputs.dtype),
        "target": target,
        "target_square": target.square(),
    }
