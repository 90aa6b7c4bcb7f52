"""Molecules as graphs: features by hand, and against what PyTorch Geometric's own QM9 makes of the
same structures.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from omnigrok.data.molecule import ELEMENTS, NODE_FEATURES, graph, pad
from omnigrok.errors import DataCorrupt, DataMissing

Chem = pytest.importorskip("rdkit.Chem")

SMILES = [
    "C",
    "O",
    "C#N",
    "CC=O",
    "c1cc[nH]c1",
    "C1=CC=CC=C1",
    "[NH3+]CC([O-])=O",
    "FC(F)(F)C#C",
    "Cc1ccno1",
]


def test_methane_by_hand() -> None:
    nodes, bonds = graph("C")
    carbon, hydrogen = [0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 4], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert nodes.tolist() == [carbon, *[hydrogen] * 4]
    assert bonds[0].tolist() == [0, 1, 1, 1, 1]
    assert bonds[1:, 1:].sum() == 0


def test_bond_types_by_hand() -> None:
    _, bonds = graph("N#CC=O")
    assert [bonds[0, 1], bonds[1, 2], bonds[2, 3], bonds[2, 4]] == [3, 1, 2, 1]
    assert bonds[0, 2] == 0


def test_hydrogens_are_counted_on_their_neighbour() -> None:
    nodes, _ = graph("CC=O")
    assert nodes[:3, 10].tolist() == [3, 1, 0]


@pytest.mark.parametrize("smiles", SMILES)
@pytest.mark.parametrize("perceived", [False, True])
def test_structure(smiles: str, perceived: bool) -> None:
    nodes, bonds = graph(smiles, perceived)
    assert nodes.shape == (len(bonds), NODE_FEATURES)
    assert nodes.dtype == np.float32
    assert bonds.dtype == np.uint8
    assert (bonds == bonds.T).all()
    assert (np.diag(bonds) == 0).all()
    assert (nodes[:, :5].sum(1) == 1).all()
    assert (nodes[:, :5] @ np.array(ELEMENTS) == nodes[:, 5]).all()
    assert nodes[:, 10].sum() == (nodes[:, 0] == 1).sum(), "every hydrogen has one neighbour"


@pytest.mark.parametrize("smiles", SMILES)
def test_kekule_graphs_have_no_perceived_columns(smiles: str) -> None:
    nodes, bonds = graph(smiles, perceived=False)
    assert (nodes[:, 6:10] == 0).all()
    assert bonds.max() <= 3


def test_perceived_benzene() -> None:
    nodes, bonds = graph("C1=CC=CC=C1", perceived=True)
    assert nodes[:6, 6:10].tolist() == [[1, 0, 1, 0]] * 6
    assert (bonds[:6, :6] == 4).sum() == 12
    kekule = graph("C1=CC=CC=C1")[1][:6, :6]
    assert [(kekule == kind).sum() for kind in (1, 2, 4)] == [6, 6, 0]


def test_perceived_hybridization() -> None:
    assert graph("C#CC", perceived=True)[0][:3, 7:10].tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_padding() -> None:
    graphs = [graph("O"), graph("CC")]
    nodes, bonds, mask = pad(graphs, 10)
    assert (nodes.shape, bonds.shape, mask.shape) == ((2, 10, 11), (2, 10, 10), (2, 10))
    assert (nodes.dtype, bonds.dtype, mask.dtype) == (torch.float32, torch.uint8, torch.float32)
    assert mask.sum(1).tolist() == [3, 8]
    assert torch.equal(nodes[1, :8], torch.from_numpy(graphs[1][0]))
    assert torch.equal(bonds[0, :3, :3], torch.from_numpy(graphs[0][1]))
    assert nodes[0, 3:].abs().sum() == 0
    assert bonds[0, 3:].sum() == 0
    assert bonds[0, :, 3:].sum() == 0


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("C1CC", "cannot read the SMILES 'C1CC'"),
        ("CS", "an element other than H, C, N, O, F"),
        ("N->B", "element"),
        ("O->N", "bond of type DATIVE"),
    ],
)
def test_bad_molecules(smiles: str, message: str) -> None:
    with pytest.raises(DataCorrupt, match=message):
        graph(smiles)


def test_without_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(DataMissing, match=r"pip install 'omnigrok\[molecules\]'"):
        graph("C")


def test_same_as_torch_geometric(tmp_path: Path) -> None:
    """Structure files written from the SMILES go through torch_geometric.datasets.QM9 itself."""
    datasets = pytest.importorskip("torch_geometric.datasets")
    raw = tmp_path / "raw"
    raw.mkdir()
    with Chem.SDWriter(str(raw / "gdb9.sdf")) as writer:
        writer.SetKekulize(True)
        for smiles in SMILES:
            molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
            molecule.SetProp("_Name", smiles)
            molecule.AddConformer(Chem.Conformer(molecule.GetNumAtoms()))
            writer.write(molecule)
    rows = [
        ",".join(["gdb", *(str(20 * row + column) for column in range(19))])
        for row in range(len(SMILES))
    ]
    (raw / "gdb9.sdf.csv").write_text("\n".join(["header", *rows]) + "\n")
    # Nine lines of header, the uncharacterized molecules (here the second), one line of footer.
    (raw / "uncharacterized.txt").write_text("\n" * 9 + "  2 O\n" + "footer\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = list(datasets.QM9(str(tmp_path)))
    kept = [row for row in range(len(SMILES)) if row != 1]
    for row, data in zip(kept, theirs, strict=True):
        smiles = SMILES[row]
        nodes, bonds = graph(smiles)
        assert torch.equal(data.x, torch.from_numpy(nodes)), smiles
        dense = torch.zeros(bonds.shape, dtype=torch.uint8)
        dense[data.edge_index[0], data.edge_index[1]] = (data.edge_attr.argmax(1) + 1).to(
            torch.uint8
        )
        assert torch.equal(dense, torch.from_numpy(bonds)), smiles
        assert data.y[0, 1] == 20 * row + 4, (
            "the published target, column 1, is the table's alpha column"
        )
