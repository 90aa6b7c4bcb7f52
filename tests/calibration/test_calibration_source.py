"""The digest of a simulation changes with what it simulates, and with nothing else."""

import shutil
from pathlib import Path

import pytest

import omnigrok.calibration
import omnigrok.paper
from omnigrok.calibration.source import HERE, simulation_digest, simulation_digests
from omnigrok.errors import BadInput
from omnigrok.paper.simulations import SIMULATIONS
from omnigrok.suite.suite import load_suite

HOOK = "omnigrok.paper.simulations"
CLAIMS = Path(__file__).parents[2] / "claims"
GENERIC = Path(omnigrok.calibration.__file__).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    source = Path(omnigrok.paper.__file__).parent
    return Path(
        shutil.copytree(source, tmp_path / "paper", ignore=shutil.ignore_patterns("__pycache__"))
    )


def replaced(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def changed(folder: Path) -> set[str]:
    here = simulation_digests(HOOK)
    there = simulation_digests(HOOK, {"omnigrok.paper": folder, HERE: GENERIC})
    assert set(here) == set(there)
    return {name for name, digest in there.items() if digest != here[name]}


def test_every_claim_has_a_digest(copy: Path) -> None:
    assert set(simulation_digests(HOOK)) == set(SIMULATIONS)
    assert changed(copy) == set()
    suite = load_suite(CLAIMS)
    assert simulation_digest(suite, "fig03.critical") != simulation_digest(suite, "fig03.grok")


def test_a_module_that_moves_changes_no_digest(copy: Path) -> None:
    (copy / "simulations" / "noise.py").write_text((copy / "noise.py").read_text(encoding="utf-8"))
    (copy / "noise.py").unlink()
    replaced(
        copy, "simulations/fig03.py", "from omnigrok.paper import noise", "from . import noise"
    )
    replaced(
        copy,
        "simulations/fig07.py",
        "from omnigrok.paper import noise",
        "import omnigrok.paper.simulations.noise as noise",
    )
    same = changed(copy)
    assert not any(name.startswith(("fig03", "fig07")) for name in same)
    # These still import it from where it was.
    assert "fig02.grok" in same


def test_what_the_generic_room_brings_is_part_of_it(copy: Path, tmp_path: Path) -> None:
    room = Path(shutil.copytree(GENERIC, tmp_path / "calibration"))
    replaced(room, "simulation.py", "step >= at", "step > at")
    there = simulation_digests(HOOK, {"omnigrok.paper": copy, HERE: room})
    here = simulation_digests(HOOK)
    assert there["fig02.grok"] != here["fig02.grok"]
    assert there["fig02.train-L"] == here["fig02.train-L"]


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
    replaced(copy, "simulations/fig03.py", old, new)
    assert claims <= changed(copy)
    assert not any(name.startswith("fig02") for name in changed(copy))


def test_words_and_layout_change_nothing(copy: Path) -> None:
    replaced(
        copy,
        "simulations/fig03.py",
        '"""A power law that falls to the same floor."""',
        "# A comment.",
    )
    assert changed(copy) == set()


def test_an_entry_of_its_own_changes_no_other(copy: Path) -> None:
    replaced(copy, "simulations/fig03.py", '"delays of 300 and 5"', '"delays of 5 and 300"')
    assert changed(copy) == {"fig03.degrok-dynamics"}


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(BadInput, match=r"claim fig03\.nothing has no entry"):
        simulation_digest(load_suite(CLAIMS), "fig03.nothing")
