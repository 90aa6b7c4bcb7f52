"""Molecules as graphs of fixed shape: SMILES to node features and bond types with RDKit, hydrogens
included (Figure 5).

Node features, as torch_geometric.datasets.QM9 defines them, are 11 numbers an atom: one-hot of H,
C, N, O, F; atomic number; aromatic; sp; sp2; sp3; number of bonded hydrogens. The edge features of
that data set are the one-hot of single, double, triple, aromatic; here an edge is one small number
instead, its bond type, and a model makes of it what it needs.

PyTorch Geometric reads the molecules without sanitizing them, so what it really hands out are
Kekule structures: its aromatic, sp, sp2 and sp3 columns and its aromatic bonds are zero for every
molecule (its issues 2163, 8370 and 10560). ``perceived=False`` gives the same; ``perceived=True``
gives the columns the values that their names promise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnigrok.errors import DataCorrupt, DataMissing

ELEMENTS = (1, 6, 7, 8, 9)
NODE_FEATURES = 11
# Bond type of an atom pair: 0 is no bond, 1 to 4 are these.
BOND_TYPES = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")

Graph = tuple[NDArray[np.float32], NDArray[np.uint8]]


def graph(smiles: str, perceived: bool = False) -> Graph:
    """Node features (a, 11) and the symmetric matrix of bond types (a, a) of one molecule with a
    atoms.

    Raises:
        DataCorrupt: RDKit cannot read the SMILES, or it has an element or a bond that QM9 does not
            have.
        DataMissing: RDKit is not installed.
    """
    try:
        from rdkit import Chem  # noqa: PLC0415 (optional, and slow to load)
    except ImportError:
        raise DataMissing(
            "molecules need RDKit, which is not installed; run: pip install 'omnigrok[molecules]'"
        ) from None
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise DataCorrupt(f"RDKit cannot read the SMILES {smiles!r}")
    molecule = Chem.AddHs(molecule)
    if not perceived:
        Chem.Kekulize(molecule, clearAromaticFlags=True)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    if not np.isin(numbers, ELEMENTS).all():
        raise DataCorrupt(f"the molecule {smiles!r} has an element other than H, C, N, O, F")
    bonds = np.zeros((len(numbers), len(numbers)), np.uint8)
    for bond in molecule.GetBonds():
        kind = bond.GetBondType().name
        if kind not in BOND_TYPES:
            raise DataCorrupt(
                f"the molecule {smiles!r} has a bond of type {kind}, not one of "
                f"{', '.join(BOND_TYPES)}"
            )
        start, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        bonds[start, end] = bonds[end, start] = 1 + BOND_TYPES.index(kind)
    nodes = np.zeros((len(numbers), NODE_FEATURES), np.float32)
    nodes[:, :5] = numbers[:, None] == np.array(ELEMENTS)
    nodes[:, 5] = numbers
    if perceived:
        nodes[:, 6] = [atom.GetIsAromatic() for atom in molecule.GetAtoms()]
        orbitals = np.array([atom.GetHybridization().name for atom in molecule.GetAtoms()])
        nodes[:, 7:10] = orbitals[:, None] == np.array(("SP", "SP2", "SP3"))
    nodes[:, 10] = ((bonds > 0) & (numbers == 1)).sum(1)
    return nodes, bonds


def pad(graphs: Sequence[Graph], atoms: int) -> tuple[Tensor, Tensor, Tensor]:
    """Graphs of at most ``atoms`` atoms as tensors of one shape, absent atoms zero.

    Returns:
        Node features (n, atoms, 11) float32, bond types (n, atoms, atoms) uint8, and a mask (n,
        atoms) float32, 1 where an atom is.
    """
    nodes = np.zeros((len(graphs), atoms, NODE_FEATURES), np.float32)
    bonds = np.zeros((len(graphs), atoms, atoms), np.uint8)
    mask = np.zeros((len(graphs), atoms), np.float32)
    for row, (features, types) in enumerate(graphs):
        size = len(features)
        nodes[row, :size], bonds[row, :size, :size], mask[row, :size] = features, types, 1
    return torch.from_numpy(nodes), torch.from_numpy(bonds), torch.from_numpy(mask)
