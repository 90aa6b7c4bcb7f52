"""Which source a check's digest covers, and what evidence says of the criteria that it was recorded
under.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnigrok.errors import BadInput
from omnigrok.suite.digests import changes, check_digest, check_file, recorded_criteria
from omnigrok.suite.schema import Claim, Figure, load_figure
from omnigrok.suite.suite import load_suite

CLAIMS = Path(__file__).parents[2] / "claims"

MODULE = '''"""Two checks."""

from omnigrok.audit import claim
from omnigrok.stats import share, time_ratio

LIMIT = 3
OTHER = 4


class Rule:
    """Of the first."""

    factor = LIMIT


def helper(x):
    """Of the first."""
    return share(x) * Rule.factor


def unused(x):
    return time_ratio(x) * OTHER


@claim("toy.first")
def test_first(case):
    helper(case)


@claim("toy.second")
def test_second(case):
    unused(case)
'''

REACHED = {
    "the check": ("    helper(case)", "    helper(2)"),
    "a helper": ("share(x) * Rule", "share(x) + Rule"),
    "a class that the helper uses": ("factor = LIMIT", "factor = 2 * LIMIT"),
    "a constant behind both": ("LIMIT = 3", "LIMIT = 5"),
    "where an imported name comes from": (
        "from omnigrok.stats import share, time_ratio",
        "from elsewhere import share, time_ratio",
    ),
}
APART = {
    "another check": ("    unused(case)", "    unused(2)"),
    "another check's helper": ("time_ratio(x) * OTHER", "time_ratio(x) + OTHER"),
    "another check's constant": ("OTHER = 4", "OTHER = 5"),
    "where in this package a name comes from": (
        "from omnigrok.stats import share, time_ratio",
        "from omnigrok.stats.moved import share, time_ratio",
    ),
    "a comment": ("LIMIT = 3", "LIMIT = 3  # three"),
    "a docstring": ('"""Of the first."""', '"""Of the first check."""'),
    "layout": ("return share(x) * Rule.factor", "return (share(x)\n        * Rule.factor)"),
    "a further check": (
        "LIMIT = 3",
        'LIMIT = 3\n\n\n@claim("toy.third")\ndef test_third(case):\n    helper(case)\n',
    ),
}


def digest(tmp_path: Path, source: str, claim_id: str = "toy.first") -> str:
    path = tmp_path / "test_toy.py"
    path.write_text(source)
    return check_digest(path, claim_id)


@pytest.mark.parametrize("change", REACHED)
def test_what_the_check_reaches_counts(tmp_path: Path, change: str) -> None:
    old, new = REACHED[change]
    assert old in MODULE
    assert digest(tmp_path, MODULE.replace(old, new)) != digest(tmp_path, MODULE)


@pytest.mark.parametrize("change", APART)
def test_what_it_does_not_reach_does_not_count(tmp_path: Path, change: str) -> None:
    old, new = APART[change]
    assert old in MODULE
    assert digest(tmp_path, MODULE.replace(old, new)) == digest(tmp_path, MODULE)


def test_a_check_marked_in_another_way_stands_for_its_module(tmp_path: Path) -> None:
    before = digest(tmp_path, MODULE, "toy.elsewhere")
    assert digest(tmp_path, MODULE.replace("OTHER = 4", "OTHER = 5"), "toy.elsewhere") != before


@pytest.mark.parametrize(
    "content", [b"def broken(:", b"\xff\xfe", b"\x00"], ids=["syntax", "encoding", "null"]
)
def test_a_module_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "test_toy.py"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"test_toy\.py: the check of toy\.first cannot be read"):
        check_digest(path, "toy.first")
    with pytest.raises(BadInput, match=r"test_none\.py"):
        check_digest(tmp_path / "test_none.py", "toy.first")


def every_claim() -> list[tuple[Figure, Claim]]:
    return [(figure, claim) for figure in load_suite(CLAIMS).figures for claim in figure.claims]


def test_every_check_of_the_audit_is_found_by_its_mark() -> None:
    """Were one not found, its digest would be that of the whole module, which is the same for all
    claims that are not found.
    """
    for figure in load_suite(CLAIMS).figures:
        path = check_file(CLAIMS, figure.figure)
        whole = check_digest(path, "nobody.marks-this")
        digests = [check_digest(path, claim.id) for claim in figure.claims]
        assert whole not in digests
        assert len(set(digests)) == len(digests)


def test_what_was_recorded_now_has_not_changed() -> None:
    for figure, claim in every_claim():
        assert (
            changes(recorded_criteria(CLAIMS, {claim.id: figure}), CLAIMS, figure.figure, claim)
            == ()
        )


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({}, ()),
        ({"criteria": {}, "checks": {}}, ()),
        ({"criteria": {"fig06.time": "x"}}, ("YAML entry",)),
        ({"checks": {"fig06.time": "x"}}, ("check",)),
        ({"criteria": {"fig06.time": "x"}, "checks": {"fig06.time": "x"}}, ("YAML entry", "check")),
        ({"criteria": {"fig06.path": "x"}, "checks": {"fig06.path": "x"}}, ()),
        ({"criteria": ["a stranger's"], "checks": "file"}, ("YAML entry", "check")),
    ],
)
def test_changes(meta: dict[str, Any], expected: tuple[str, ...]) -> None:
    figure = load_figure(CLAIMS / "fig06_addition.yaml")
    assert changes(meta, CLAIMS, figure.figure, figure.claim("fig06.time")) == expected
