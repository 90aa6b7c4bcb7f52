"""The Python API is what ``docs/python.md`` says, and importing the package imports nothing
heavy.
"""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

import omnigrok
from omnigrok.errors import BadInput

from .report.conftest import document, row

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "python.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to the claims of this repository, and to an audit of one claim."""
    (tmp_path / "claims").symlink_to(ROOT / "claims")
    (tmp_path / "audit.json").write_text(json.dumps(document(row("fig02.grok"))))
    monkeypatch.chdir(tmp_path)
    done = doctest.testfile(
        str(PAGE),
        module_relative=False,
        optionflags=doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE,
    )
    assert done.failed == 0
    assert done.attempted >= 15
    assert (tmp_path / "grokking.png").read_bytes().startswith(b"\x89PNG")


def test_the_plot_takes_ten_lines() -> None:
    tutorial = PAGE.read_text().partition("ten lines")[2].partition("```\n")[0]
    assert 5 <= tutorial.count("\n>>> ") <= 10


def test_every_public_name_is_on_the_page() -> None:
    text = PAGE.read_text()
    for name in omnigrok.__all__:
        assert f"omnigrok.{name}" in text
        assert getattr(omnigrok, name).__doc__


def test_importing_the_package_imports_nothing_heavy() -> None:
    source = (
        "import sys, omnigrok\n"
        "assert not {'torch', 'numpy', 'pyarrow', 'pydantic'} & set(sys.modules)\n"
        "assert omnigrok.Run.__name__ == 'Run' and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", source], check=True)


def test_no_other_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        omnigrok.trian  # noqa: B018


def test_runs_of_several_shapes_in_their_order() -> None:
    run = omnigrok.Run(
        task="teacher_student",
        model="mlp",
        seed=0,
        n_train=4,
        steps=2,
        lr=0.1,
        data={"n_test": 4},
        network={"widths": [2, 2, 2], "activation": "tanh"},
    )
    wide = run.replace(network={"widths": [2, 3, 2], "activation": "tanh"})
    runs = [run, wide, run.replace(seed=1)]
    assert [curves.run for curves in omnigrok.train(runs)] == runs
    assert omnigrok.train([]) == []
    with pytest.raises(BadInput):
        omnigrok.train([run.replace(data={"n_tset": 4})])
