"""The figure files: what is accepted, and one clear message for what is not."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.suite.schema import Bounds, forget_figures, load_figure
from omnigrok.suite.suite import load_suite

CLAIMS = Path(__file__).parents[2] / "claims"
VALID: dict[str, Any] = {
    "figure": "toy",
    "title": "t",
    "place": "p",
    "experiments": {"e": {"base": {"task": "teacher_student"}, "sweep": {"seed": [0, 1]}}},
    "claims": [
        {
            "id": "toy.a",
            "statement": "s",
            "place": "p",
            "experiments": ["e"],
            "criterion": {"x": {"above": 1.0}},
            "control": {"why": "w"},
            "null": "sign flips",
        }
    ],
}


def write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def changed(where: list[Any], key: str, value: Any) -> dict[str, Any]:
    copied = copy.deepcopy(VALID)
    target: Any = copied
    for step in where:
        target = target[step]
    target[key] = value
    return copied


def test_valid(tmp_path: Path) -> None:
    figure = load_figure(write(tmp_path, VALID))
    assert figure.claim("toy.a").criterion["x"] == Bounds(above=1.0)


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        ([], "titel", "x", r"toy\.yaml: titel: .*accepted keys: figure, title"),
        (["claims", 0], "verison", 2, r"claim toy\.a: verison: .*accepted keys: id, statement"),
        (["experiments", "e"], "swep", {}, r"experiments\.e\.swep: .*accepted keys: base, sweep"),
        (
            ["claims", 0, "criterion"],
            "x",
            {"above": 1.0, "inside": [0, 1]},
            "give above and/or below, or inside",
        ),
        (["claims", 0, "criterion"], "x", {"inside": [2, 1]}, "inside needs lo < hi"),
        (["claims", 0, "criterion"], "x", {}, "give above and/or below, or inside"),
        (
            ["claims", 0],
            "experiments",
            ["f"],
            r"toy\.yaml: claim toy\.a: unknown experiment 'f'; accepted: e",
        ),
        (
            ["claims", 0, "criterion"],
            "x",
            {"abvoe": 1.0},
            r"toy\.yaml: claim toy\.a: criterion\.x\.abvoe: .*accepted keys: above, below, inside",
        ),
        (["claims", 0], "id", 7, r"toy\.yaml: claims\.0\.id: "),
        (
            ["claims", 0, "control"],
            "quantity",
            {"whem": 0},
            r"toy\.yaml: claim toy\.a: control\.quantity: 'whem' is not a key of its quantity",
        ),
        (["claims", 0], "id", "no dot", "pattern"),
        (["claims", 0], "id", f"toy.{'a' * 97}", r"claim toy\.a+: id: .*at most 100 characters"),
        (["claims", 0], "version", 0, "greater than or equal to 1"),
        (["claims", 0], "protocols", [], "name at least one protocol"),
        (["claims", 0], "null", "vibes", "permuted grid"),
        ([], "figure", "other", "must be the file's name, 'toy'"),
    ],
)
def test_refused(tmp_path: Path, where: list[Any], key: str, value: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        load_figure(write(tmp_path, changed(where, key, value)))
    assert "toy.yaml" in str(caught.value)


def test_claim_twice(tmp_path: Path) -> None:
    content = copy.deepcopy(VALID)
    content["claims"] *= 2
    with pytest.raises(BadInput, match=r"claim toy\.a is listed twice"):
        load_figure(write(tmp_path, content))


def test_key_twice(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="key 'title' is given twice"):
        load_figure(write(tmp_path, yaml.safe_dump(VALID) + "title: again\n"))


@pytest.mark.parametrize(
    "text", ["[1, 2]", "a: [", "!!python/object/apply:os.system ['true']", "\x00", "? {a: b}\n: c"]
)
def test_not_a_figure(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match=r"toy\.yaml"):
        load_figure(write(tmp_path, text))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load_figure(tmp_path / "none.yaml")


def test_too_large(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="larger than"):
        load_figure(write(tmp_path, "#" * 1_000_001))


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300))
def test_fuzz_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "toy.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(OmnigrokError):
        load_figure(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(["experiments", "claims", "choices", "title"]), value=json_values)
def test_fuzz_values(tmp_path_factory: pytest.TempPathFactory, key: str, value: Any) -> None:
    path = write(tmp_path_factory.mktemp("fuzz"), changed([], key, value))
    message = "toy.yaml"
    with contextlib.suppress(OmnigrokError):  # any other exception fails the test
        message = load_figure(path).title
    assert isinstance(message, str)


def test_the_digest_follows_the_criterion(tmp_path: Path) -> None:
    first = load_figure(write(tmp_path, VALID)).claim("toy.a").digest
    forget_figures()
    second = (
        load_figure(write(tmp_path, changed(["claims", 0, "criterion"], "x", {"above": 1.1})))
        .claim("toy.a")
        .digest
    )
    assert first != second


def test_the_paper_s_value_is_no_part_of_the_criterion(tmp_path: Path) -> None:
    first = load_figure(write(tmp_path, VALID)).claim("toy.a")
    forget_figures()
    second = load_figure(write(tmp_path, changed(["claims", 0], "reported", "about 2")))
    assert (first.reported, second.claim("toy.a").reported) == ("", "about 2")
    assert first.digest == second.claim("toy.a").digest


def test_mechanisms_are_nulls_of_their_own(tmp_path: Path) -> None:
    plain = load_figure(write(tmp_path, VALID)).claim("toy.a")
    named = [
        {"name": "ceiling", "words": "error is bounded"},
        {"name": "floor", "words": "some error stays"},
    ]
    (tmp_path / "more").mkdir()
    claim = load_figure(
        write(tmp_path / "more", changed(["claims", 0], "mechanisms", named))
    ).claim("toy.a")
    assert plain.nulls == ("sign flips",)
    assert claim.nulls == ("ceiling", "floor")
    assert claim.digest != plain.digest
    assert claim.criterion_digest != plain.criterion_digest
    (tmp_path / "wrong").mkdir()
    wrong = changed(["claims", 0], "mechanisms", [{"name": "ceiling", "word": "error is bounded"}])
    with pytest.raises(BadInput, match="accepted keys: name, words"):
        load_figure(write(tmp_path / "wrong", wrong))


def test_the_project_s_own_files_are_valid() -> None:
    for figure in load_suite(CLAIMS).figures:
        for claim in figure.claims:
            assert claim.control.why
            assert claim.reported
            # A claim about other claims reads their criteria through their experiments.
            assert claim.criterion or all(":" in name for name in claim.experiments)
