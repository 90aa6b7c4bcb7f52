from __future__ import annotations

import pytest

from omnigrok.syntax import normalised

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


@pytest.mark.parametrize(
    ("old", "new"),
    [("x * 2", "x * 3"), ("x * 2", "2 * x"), ("import torch", "import numpy"), ("Net", "Network")],
)
def test_code_counts(old: str, new: str) -> None:
    assert normalised(SOURCE.replace(old, new)) != normalised(SOURCE)


def test_it_does_not_depend_on_the_version_of_python() -> None:
    """Evidence that Python 3.11 recorded is not stale for 3.12 (type parameters) nor for 3.13
    (empty fields): this is 3.11's tree.
    """
    found = normalised('class A:\n    def f(self, x=1):\n        return f"{x}"\n')
    arguments = (
        "arguments(posonlyargs=[], args=[arg(arg='self'), arg(arg='x')], kwonlyargs=[], "
        "kw_defaults=[], defaults=[Constant(value=1)])"
    )
    value = (
        "Return(value=JoinedStr(values=[FormattedValue(value=Name(id='x', ctx=Load()), "
        "conversion=-1)]))"
    )
    function = f"FunctionDef(name='f', args={arguments}, body=[{value}], decorator_list=[])"
    assert found == (
        f"Module(body=[ClassDef(name='A', bases=[], keywords=[], body=[{function}], "
        "decorator_list=[])], type_ignores=[])"
    )
