from __future__ import annotations

import builtins
import importlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import omnigrok
from omnigrok.errors import BadInput
from omnigrok.models import mlp
from omnigrok.run import Run
from omnigrok.suite.experiment import expand
from omnigrok.suite.suite import load_suite
from omnigrok.training import identity as module
from omnigrok.training.identity import identity, versions

CLAIMS = Path(__file__).parents[2] / "claims"
RDKIT = "rdkit 2026.1.1"
# What records made so far say.
KNOWN = {
    ("teacher_student", "mlp"): "trainer 1, teacher_student 1, mlp 1",
    ("mnist", "mlp"): "trainer 1, mnist 1, mlp 1",
    ("mnist_representation", "messy_mlp"): "trainer 1, mnist_representation 1, messy_mlp 1",
    ("addition", "decoder"): "trainer 1, addition 1, decoder 1",
    ("modular", "transformer"): "trainer 1, modular 1, transformer 1",
    ("imdb", "lstm"): "trainer 1, imdb 1, lstm 1",
    ("qm9", "nnconv"): f"trainer 1, qm9 1 with {RDKIT}, nnconv 1",
    ("qm9", "graph_conv"): f"trainer 1, qm9 1 with {RDKIT}, graph_conv 1",
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_identity", module._identity.__wrapped__)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: RDKIT.removeprefix(f"{name} "))


# Modules of this package


def test_records_made_so_far_stay_valid(student: Run) -> None:
    assert {key: identity(student.replace(task=key[0], model=key[1])) for key in KNOWN} == KNOWN


def test_every_run_of_the_claims_is_known_to_this_test() -> None:
    used = {
        (run.task, run.model)
        for figure in load_suite(CLAIMS).figures
        for experiment in figure.experiments.values()
        for run in expand(experiment, "smoke", "paper")
    }
    assert used == set(KNOWN)


def test_only_data_set_and_architecture_of_a_run_count(student: Run) -> None:
    assert identity(student.replace(seed=5, lr=1.0, steps=3)) == identity(student)


def test_no_source_of_this_package_is_read(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a comment, a new layout or another name of a file of the trainer makes no record stale."""
    for task, model in KNOWN:
        identity(student.replace(task=task, model=model))  # imports them

    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError(f"{arguments} was opened")

    for owner, name in (
        (builtins, "open"),
        (Path, "open"),
        (Path, "read_text"),
        (Path, "read_bytes"),
    ):
        monkeypatch.setattr(owner, name, refuse)
    assert {key: identity(student.replace(task=key[0], model=key[1])) for key in KNOWN} == KNOWN


def test_a_raised_version_counts(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlp, "VERSION", 2)
    assert identity(student) == "trainer 1, teacher_student 1, mlp 2"
    monkeypatch.setattr(module, "VERSION", 3)
    assert identity(student) == "trainer 3, teacher_student 1, mlp 2"
    assert versions(student) == {"trainer": 3, "teacher_student": 1, "mlp": 2}


def test_every_data_set_and_architecture_has_a_version() -> None:
    folder = Path(omnigrok.__file__).parent
    for room, marker in (("data", "def split("), ("models", "def build(")):
        names = [
            file.stem
            for file in (folder / room).glob("*.py")
            if marker in file.read_text() and file.stem != "__init__"
        ]
        assert len(names) >= 7
        for name in names:
            assert importlib.import_module(f"omnigrok.{room}.{name}").VERSION >= 1


def test_a_module_that_is_not_there_is_named(student: Run) -> None:
    with pytest.raises(BadInput, match="unknown model 'nothing'"):
        identity(student.replace(model="nothing"))
    with pytest.raises(BadInput, match="unknown task 'nothing'"):
        identity(student.replace(task="nothing"))


# Libraries


def test_a_library_that_is_not_installed_breaks_nothing(
    student: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert identity(student) == KNOWN["teacher_student", "mlp"]
    assert (
        identity(student.replace(task="qm9", model="nnconv"))
        == "trainer 1, qm9 1 with rdkit missing, nnconv 1"
    )


# Modules from outside

DATA = """
import torch
from omnigrok.data.split import Pool, Split
{imports}

LIBRARIES = ("numpy", "scipy")

def split(run, root):
    '''Samples.'''
    inputs = torch.arange(12.0)[:, None] * SCALE
    return Split(Pool((inputs,), inputs.clone()), torch.arange(8), torch.arange(8, 12))

def accuracy(run, outputs, targets):
    return {{"acc": (outputs - targets).abs().squeeze(-1) < 1}}
"""
Package = Callable[[str, str], tuple[Run, Path]]


@pytest.fixture
def package(
    student: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Package:
    """Writes a package with a data set and a helper module; returns a Run and the package's
    folder.
    """

    def write(imports: str, inside: str = "") -> tuple[Run, Path]:
        name = f"mypkg_{tmp_path.name}"
        folder = tmp_path / name
        (folder / inside).mkdir(parents=True)
        for part in {folder, folder / inside}:
            (part / "__init__.py").touch()
        (folder / "helper.py").write_text("SCALE = 1\n")
        (folder / inside / "mydata.py").write_text(
            DATA.format(imports=imports.replace("mypkg", name))
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        task = ".".join([name, *([inside] if inside else []), "mydata"])
        return student.replace(
            task=task, n_train=8, network={"widths": (1, 4, 1), "activation": "tanh"}.items()
        ), folder

    return write


IMPORTS = [
    ("from mypkg.helper import SCALE", ""),
    ("from .helper import SCALE", ""),
    ("from . import helper; SCALE = helper.SCALE", ""),
    ("from ..helper import SCALE", "inner"),
    ("import mypkg.helper; SCALE = mypkg.helper.SCALE", "inner"),
    ("import importlib; SCALE = importlib.import_module('mypkg.helper').SCALE", ""),
]


@pytest.mark.parametrize(("imports", "inside"), IMPORTS)
def test_a_helper_module_counts_however_it_is_imported(
    package: Package, imports: str, inside: str
) -> None:
    run, folder = package(imports, inside)
    before = identity(run)
    assert before.startswith(f"trainer 1, {folder.name} ")
    (folder / "helper.py").write_text('"""One."""\n\nSCALE = (1)  # as it was\n')
    assert identity(run) == before
    (folder / "helper.py").write_text("SCALE = 100\n")
    assert identity(run) != before


def test_a_new_file_of_the_package_counts(package: Package) -> None:
    run, folder = package("from .helper import SCALE", "")
    before = identity(run)
    (folder / "more.py").write_text("def f(:\n")  # no Python, and counts as it stands
    broken = identity(run)
    (folder / "more.py").write_text("def f( :\n")
    assert len({before, broken, identity(run)}) == 3


def test_libraries_that_an_outside_module_declares_count(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = package("from .helper import SCALE", "")
    monkeypatch.setattr(
        importlib.metadata, "version", {"numpy": "2.0", "scipy": "1.15"}.__getitem__
    )
    assert " with numpy 2.0 and scipy 1.15, mlp 1" in identity(run)


def test_a_folder_without_init_is_a_package_too(
    student: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bare_folder"
    folder.mkdir()
    (folder / "net.py").write_text(
        "from bare_folder.size import OUT\nfrom torch import nn\ndef build(run): return "
        "nn.Linear(3, OUT)\n"
    )
    (folder / "size.py").write_text("OUT = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    run = student.replace(model="bare_folder.net")
    before = identity(run)
    (folder / "size.py").write_text("OUT = 4\n")
    assert identity(run) != before


def test_the_digest_of_a_single_file_is_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lone_module.py").write_text("A = 1\n")
    before = module._digest("lone_module")
    (tmp_path / "unrelated.py").write_text("B = 1\n")
    assert module._digest("lone_module") == before
    (tmp_path / "lone_module.py").write_text("A = 2\n")
    assert module._digest("lone_module") != before


def test_a_long_name_stays_one_that_evidence_accepts(
    student: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "p" * 220
    (tmp_path / name).mkdir()
    (tmp_path / name / "net.py").write_text(
        "from torch import nn\ndef build(run): return nn.Linear(3, 2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert len(identity(student.replace(model=f"{name}.net"))) <= 200


TRAIN = """
import json, sys, torch
from pathlib import Path
from omnigrok.run import Run
from omnigrok.execution.engines import LocalEngine
from omnigrok.execution.execute import Executor
from omnigrok.store.store import Store
run = Run.from_dict(json.loads(sys.argv[1]))
with Store(sys.argv[2]) as store:
    executor = Executor(store, LocalEngine(torch.device("cpu"), Path()), [run])
    missing = len(executor.missing([run]))
    executor.ensure([run])
    print(missing, store.get(run, executor.environment(run))["train_loss"][0])
"""


def test_a_store_trains_again_when_a_helper_of_the_data_set_changes(
    package: Package, tmp_path: Path
) -> None:
    run, folder = package("from mypkg.helper import SCALE", "")

    def train() -> list[Any]:
        command = [
            sys.executable,
            "-c",
            TRAIN,
            json.dumps(run.as_dict()),
            str(tmp_path / "runs.sqlite"),
        ]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.split()

    first = train()
    assert train() == ["0", first[1]]
    (folder / "helper.py").write_text("SCALE = 100\n")
    missing, loss = train()
    assert (first[0], missing) == ("1", "1")
    assert float(loss) > 1000 * float(first[1])
