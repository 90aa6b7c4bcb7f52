from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import omnigrok
from omnigrok.errors import BadInput
from omnigrok.runs import Run
from omnigrok.training import fingerprint as module
from omnigrok.training.fingerprint import fingerprint, normalised

Write = Callable[[str], str]

SOURCE = '''
"""A module."""
import torch  # for tensors


class Net:
    """A network."""

    def forward(self, x):
        """To outputs."""
        return x * 2


def only_docstring():
    """Nothing else."""
'''


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's source that ``fingerprint`` reads instead; modules are still imported from the real one."""
    package = Path(omnigrok.__file__).parent
    copy = tmp_path / "omnigrok"
    for file in package.rglob("*.py"):
        target = copy / file.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    real = module._source_of

    def source_of(name: str) -> Path:
        path = real(name)
        return copy / path.relative_to(package) if path.is_relative_to(package) else path

    monkeypatch.setattr(module, "_source_of", source_of)
    monkeypatch.setattr(module, "__file__", str(copy / "training" / "fingerprint.py"))
    monkeypatch.setattr(module, "_digest", module._digest.__wrapped__)
    return copy


def edited(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


# What counts as a change of code


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# for tensors", "# for other reasons"),
        ('"""A module."""', ""),
        ('"""A network."""', '"""Another word."""'),
        ('        """To outputs."""\n', ""),
        ("x * 2", "(x\n            * 2)"),
        ("\n\n\n", "\n"),
        ('"""Nothing else."""', '"""Something else."""'),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(old: str, new: str) -> None:
    assert old in SOURCE
    assert normalised(SOURCE.replace(old, new)) == normalised(SOURCE)


@pytest.mark.parametrize(("old", "new"), [("x * 2", "x * 3"), ("x * 2", "2 * x"), ("import torch", "import numpy"), ("Net", "Network")])
def test_code_counts(old: str, new: str) -> None:
    assert normalised(SOURCE.replace(old, new)) != normalised(SOURCE)


def test_it_does_not_depend_on_the_version_of_python() -> None:
    """Evidence that Python 3.11 recorded is not stale for 3.12 (type parameters) nor for 3.13 (empty fields): this is 3.11's tree."""
    found = normalised('class A:\n    def f(self, x=1):\n        return f"{x}"\n')
    arguments = (
        "arguments(posonlyargs=[], args=[arg(arg='self'), arg(arg='x')], kwonlyargs=[], kw_defaults=[], defaults=[Constant(value=1)])"
    )
    value = "Return(value=JoinedStr(values=[FormattedValue(value=Name(id='x', ctx=Load()), conversion=-1)]))"
    function = f"FunctionDef(name='f', args={arguments}, body=[{value}], decorator_list=[])"
    assert found == f"Module(body=[ClassDef(name='A', bases=[], keywords=[], body=[{function}], decorator_list=[])], type_ignores=[])"


# Which files count


def test_it_is_16_hex_digits_and_the_same_every_time(student: Run) -> None:
    one = fingerprint(student)
    assert len(one) == 16
    assert int(one, 16) >= 0
    assert fingerprint(student.replace(seed=5, lr=1.0, steps=3)) == one


def test_the_copy_has_the_same_fingerprint(student: Run, digits: Run, copied: Path) -> None:
    after = [fingerprint(run) for run in (student, digits)]
    assert len(set(after)) == 2
    edited(copied / "training" / "optimizer.py", "def adamw_(", "# a remark\ndef adamw_(")
    assert [fingerprint(run) for run in (student, digits)] == after


TRAINER = ("calendar", "evaluate", "feed", "objective", "optimizer", "samples", "shape", "sphere", "stack", "state")


@pytest.mark.parametrize("name", TRAINER)
def test_every_module_of_the_trainer_that_touches_a_number_counts(student: Run, copied: Path, name: str) -> None:
    before = fingerprint(student)
    with (copied / "training" / f"{name}.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    assert fingerprint(student) != before


def test_every_module_of_the_trainer_is_known_to_this_test() -> None:
    files = {file.stem for file in Path(module.__file__).parent.glob("*.py")}
    assert files == {*TRAINER, "device", "fingerprint", "graph", "__init__"}


@pytest.mark.parametrize(
    "name",
    ["training/device.py", "training/fingerprint.py", "training/graph.py", "data/qm9.py", "models/transformer.py", "runs/store.py"],
)
def test_what_touches_no_number_of_a_run_does_not_count(student: Run, copied: Path, name: str) -> None:
    before = fingerprint(student)
    with (copied / name).open("a") as file:
        file.write("\nCHANGED = True\n")
    assert fingerprint(student) == before


@pytest.mark.parametrize(
    ("task", "model", "name"),
    [
        ("teacher_student", "mlp", "data/teacher_student.py"),
        ("teacher_student", "mlp", "models/mlp.py"),
        ("teacher_student", "mlp", "data/split.py"),
        ("imdb", "lstm", "models/lstm_function.py"),
        ("imdb", "lstm", "data/imdb_text.py"),
        ("imdb", "lstm", "models/lstm_packed.py"),
        ("imdb", "lstm", "models/lstm_stacked.py"),
        ("mnist", "mlp", "data/_mnist_bundle.py"),
        ("mnist", "mlp", "data/_mnist_idx.py"),
        ("mnist_representation", "messy_mlp", "data/mnist.py"),
        ("mnist_representation", "messy_mlp", "models/mlp.py"),
    ],
)
def test_data_and_model_modules_count_with_all_they_import(student: Run, copied: Path, task: str, model: str, name: str) -> None:
    run = student.replace(task=task, model=model)
    before = fingerprint(run)
    with (copied / name).open("a") as file:
        file.write("\nCHANGED = True\n")
    assert fingerprint(run) != before


BUILD = """
from torch import nn
def build(run):
    '''A network.'''
    return nn.Linear(3, {outputs})
"""


def test_somebody_elses_module_counts(student: Run, write_module: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = student.replace(model=write_module(BUILD.format(outputs=2)))
    monkeypatch.setattr(module, "_digest", module._digest.__wrapped__)
    before = fingerprint(run)
    file = tmp_path / run.model.split(".")[0] / "module.py"
    edited(file, "A network.", "The network.")
    assert fingerprint(run) == before
    edited(file, "(3, 2)", "(3, 4)")
    assert fingerprint(run) != before


def test_a_module_that_is_not_there_is_named(student: Run) -> None:
    with pytest.raises(BadInput, match="unknown model 'nothing'"):
        fingerprint(student.replace(model="nothing"))
    with pytest.raises(BadInput, match="unknown task 'nothing'"):
        fingerprint(student.replace(task="nothing"))
