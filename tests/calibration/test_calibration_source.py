"""The digest of a simulation changes with what it simulates, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from omnigrok.calibration.claims import SIMULATIONS
from omnigrok.calibration.source import HERE, simulation_digest, simulation_digests
from omnigrok.errors import BadInput


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(
            HERE, tmp_path / "calibration", ignore=shutil.ignore_patterns("__pycache__")
        )
    )


def replaced(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def changed(folder: Path) -> set[str]:
    here = simulation_digests()
    return {name for name, digest in simulation_digests(folder).items() if digest != here[name]}


def test_every_claim_has_a_digest(copy: Path) -> None:
    assert set(simulation_digests()) == set(SIMULATIONS)
    assert changed(copy) == set()
    assert simulation_digest("fig03.critical") != simulation_digest("fig03.grok")


def test_a_constant_of_another_module_changes_the_claims_that_use_it(copy: Path) -> None:
    replaced(copy, "noise.py", "0.11 *", "0.12 *")
    assert changed(copy) == {"fig03.critical"}
    replaced(
        copy,
        "noise.py",
        "MNIST_TIME_SD, MNIST_LOSS_SD = 0.03, 0.19",
        "MNIST_TIME_SD, MNIST_LOSS_SD = 0.03, 0.2",
    )
    assert {"fig03.grok", "fig03.time-vs-N", "concl.everywhere"} <= changed(copy)
    assert "fig02.grok" not in changed(copy)


@pytest.mark.parametrize(
    ("old", "new", "claims"),
    [
        ("/ 21) ** 0.647", "/ 22) ** 0.647", {"fig03.critical"}),
        ("PLATEAU = 0.3", "PLATEAU = 0.31", {"fig03.grok", "fig03.time-vs-N", "concl.everywhere"}),
    ],
)
def test_a_constant_of_the_module(copy: Path, old: str, new: str, claims: set[str]) -> None:
    replaced(copy, "claims/fig03.py", old, new)
    assert claims <= changed(copy)
    assert not any(name.startswith("fig02") for name in changed(copy))


def test_words_and_layout_change_nothing(copy: Path) -> None:
    replaced(
        copy, "claims/fig03.py", '"""A power law that falls to the same floor."""', "# A comment."
    )
    assert changed(copy) == set()


def test_an_entry_of_its_own_changes_no_other(copy: Path) -> None:
    replaced(copy, "claims/fig03.py", '"delays of 300 and 5"', '"delays of 5 and 300"')
    assert changed(copy) == {"fig03.degrok-dynamics"}


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(BadInput, match=r"claim fig03\.nothing has no entry"):
        simulation_digest("fig03.nothing")
