"""In which order the items of an audit run, whatever their files are called."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_conclusions_come_after_the_figures_and_timings_last(
    pytester: pytest.Pytester, more: list[str]
) -> None:
    """The conclusions read everybody's runs: were they first, an audit that is stopped early would
    have judged nothing.
    """
    done = pytester.runpytest_subprocess(
        str(ROOT / "claims"),
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={ROOT}",
        *more,
    )
    names = [line for line in done.outlines if "::" in line]
    kinds = [
        "timing"
        if "test_cost" in name
        else "conclusion"
        if "test_conclusions" in name
        else "figure"
        for name in names
    ]
    assert sorted(set(kinds)) == ["conclusion", "figure", "timing"]
    assert kinds == sorted(kinds, key=["figure", "conclusion", "timing"].index)
    figures = [name for name, kind in zip(names, kinds, strict=True) if kind == "figure"]
    files = [name.split("::")[0] for name in figures]
    assert files == sorted(files)


def test_items_that_are_no_claims_keep_their_place(pytester: pytest.Pytester, toy: object) -> None:
    pytester.makepyfile(
        test_b="def test_first(): pass\ndef test_second(): pass\n", test_a="def test_zero(): pass\n"
    )
    done = pytester.runpytest_subprocess("--collect-only", "-q", "-p", "no:cacheprovider")
    assert [line for line in done.outlines if "::" in line] == [
        "test_a.py::test_zero",
        "test_b.py::test_first",
        "test_b.py::test_second",
    ]
