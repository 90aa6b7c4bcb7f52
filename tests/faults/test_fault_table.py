"""The table of faults is complete, and docs/faults.md shows it as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fault_table as faults
import pytest

from omnigrok.report.markers import between, markers

ROOT = Path(__file__).parents[2]


def test_every_fault_has_a_test_and_every_mark_a_row() -> None:
    tests = list(faults.marked())
    assert {test.fault for test in tests} == set(faults.FAULTS)
    assert len(set(faults.FAULTS)) == len(faults.FAULTS)
    text = faults.table(tests)
    assert text.count("\n") == len(faults.FAULTS) + 2
    for test in tests:
        assert test.what.endswith("."), f"{test.path}::{test.name} needs a sentence"
        assert "|" not in test.what


def test_every_fault_file_is_in_the_table() -> None:
    """A file named after a fault whose tests bear no mark would be missing unseen."""
    named = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_fault_*.py")
    } - {"tests/faults/test_fault_table.py"}
    assert named == {test.path for test in faults.marked() if "/test_fault_" in test.path}


def test_a_fault_of_the_default_set() -> None:
    """Each fault has a test that runs without -m slow."""
    quick = set()
    for test in faults.marked():
        source = (ROOT / test.path).read_text()
        before = source[: source.index(f"def {test.name}(")].rpartition("\n\n\n")[2]
        if "pytest.mark.slow" not in before:
            quick.add(test.fault)
    assert quick == set(faults.FAULTS)


def write(folder: Path, body: str) -> list[object]:
    (folder / "tests").mkdir()
    (folder / "tests" / "test_x.py").write_text(body)
    return list(faults.marked(folder / "tests"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            '@pytest.mark.fault("a typo")\ndef test_a():\n    """What."""\n',
            "no fault of the list: a typo",
        ),
        (
            '@pytest.mark.fault("SIGTERM")\ndef test_a():\n    pass\n',
            r"without a docstring: tests/test_x\.py::test_a",
        ),
        (
            '@pytest.mark.fault("SIGTERM")\ndef test_a():\n    """What."""\n',
            r"no test of: SIGINT \(Ctrl-C\)",
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, body: str, message: str) -> None:
    tests = write(tmp_path, body)
    with pytest.raises(ValueError, match=message):
        faults.table(tests)


def recorded_matrix() -> str:
    return str(faults.matrix_table(json.loads(faults.RECORD.read_text())))


def test_the_command_prints_and_writes_it(tmp_path: Path) -> None:
    target = tmp_path / "faults.md"
    names = (faults.MARKERS, faults.PLANTED, faults.MATRIX)
    target.write_text("\n".join(line for name in names for line in markers(name)))
    command = [sys.executable, str(ROOT / "tests" / "faults" / "fault_table.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    texts = faults.table(list(faults.marked())), faults.planted_table(), recorded_matrix()
    assert printed == "\n".join(texts)
    subprocess.run([*command, "--into", str(target)], check=True)
    assert all(text in target.read_text() for text in texts)
    target.write_text("no markers")
    refused = subprocess.run(
        [*command, "--into", str(target)], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "lacks the markers" in refused.stderr
    assert target.read_text() == "no markers"


@pytest.mark.parametrize("which", ["faults", "planted", "matrix"])
def test_the_page_is_current(which: str) -> None:
    made = {
        "faults": lambda: faults.table(list(faults.marked())),
        "planted": faults.planted_table,
        "matrix": recorded_matrix,
    }[which]()
    assert between(ROOT / "docs" / "faults.md", which) == made, (
        "run: python tests/faults/fault_table.py --into docs/faults.md"
    )


def test_every_planted_fault_has_a_row_and_is_noticed() -> None:
    lines = faults.planted_table().splitlines()
    assert len(lines) == 2 + 8
    assert all(len(line.split(" | ")) == 4 for line in lines[2:])
    for line in lines[2:]:
        assert "| fig0" in line
        assert line.endswith(("| REFUTED or INCONCLUSIVE |", "... |"))


def copied(tmp_path: Path, name: str, old: str, new: str) -> Path:
    for file in ("planted.py", "test_planted_faults.py"):
        text = (ROOT / "tests" / "faults" / file).read_text()
        assert name != file or old in text
        (tmp_path / file).write_text(text.replace(old, new) if name == file else text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "planted.py",
            '    """Every network starts at the norm of alpha = 1."""\n',
            "",
            "without a docstring: _alpha_ignored",
        ),
        ("planted.py", '    "decay_off": _decay_off,\n', "", "not both: decay_off"),
        (
            "test_planted_faults.py",
            '    "alpha_ignored": ("fig02.grok",),\n',
            "",
            "not both: alpha_ignored",
        ),
    ],
)
def test_a_fault_that_nobody_notices_is_said(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        faults.planted_table(copied(tmp_path, name, old, new))
