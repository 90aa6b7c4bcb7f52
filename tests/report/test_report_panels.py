"""The table of panels against the claims, and what is drawn of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from omnigrok.paper.panels import PANELS
from omnigrok.report.drawing.canvas import Canvas
from omnigrok.report.panels import Panel, draw, named_panels
from omnigrok.report.recorded import Recorded
from omnigrok.store.store import Environment, Store
from omnigrok.suite.suite import Setting, load_suite
from omnigrok.training.identity import identity

from .conftest import CLAIMS, Example, made_up

PAPER = [
    "2a",
    "2b",
    "2c",
    "3a",
    "3b",
    "3c",
    "3d",
    "3e",
    "4a",
    "4b",
    "4c",
    "4d",
    "5a",
    "5b",
    "5c",
    "5d",
    "6a",
    "6b",
    "6c",
    "6d",
    "6e",
    "7a",
    "7b",
    "8a",
    "8b",
    "8c",
    "9",
    "10a",
    "10b",
    "10c",
    "10d",
    "11a",
    "11b",
    "11c",
    "12",
]

SUITE = load_suite(CLAIMS)
BY_NAME = {panel.name: panel for panel in PANELS}


def test_every_figure_with_data_is_there_once() -> None:
    assert [panel.name for panel in PANELS] == PAPER


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_experiments_and_claims_exist(panel) -> None:
    for experiment in (*panel.experiments, *panel.optional):
        figure, _, name = experiment.partition(":")
        SUITE.experiment(f"{figure}:{name}")
    if panel.claim:
        SUITE.figure(panel.figure).claim(panel.claim)


@pytest.mark.parametrize(
    ("place", "panels"),
    [
        ("Section 3, Figure 2a", ["2a"]),
        ("Section 4, Figures 3a and 3b", ["3a", "3b"]),
        ("Section 4, Figure 4a-c", ["4a", "4b", "4c"]),
        ("Section 5.1, Figure 6a to c", ["6a", "6b", "6c"]),
        ("Section 5.1, Figure 6a and b", ["6a", "6b"]),
        ("Appendix D, Figure 7", ["7a", "7b"]),
        ("Appendix E, Figure 12", ["12"]),
        ("Appendix B, Figure 9", ["9"]),
        ("Section 5.1, Figure 6f", []),
        ("Section 7 (ii)", []),
        ("Section 4, footnotes 2 and 5; Appendix B", []),
    ],
)
def test_panels_named_by_a_place(place: str, panels: list[str]) -> None:
    assert named_panels(place, BY_NAME) == panels


def test_every_place_with_a_letter_is_understood() -> None:
    for figure in SUITE.figures:
        for claim in figure.claims:
            for name in re.findall(r"Figures? (\d+[a-e])", claim.place):
                assert name in named_panels(claim.place, BY_NAME), claim.id
    assert set(BY_NAME) == set(PAPER)


@pytest.fixture(scope="module")
def source(example: Example):
    with Store(example.store, readonly=True) as store:
        yield Recorded(SUITE, "smoke", store, torch.__version__, "cpu")


@pytest.mark.parametrize("name", ["2a", "2c", "6c", "6e", "7a", "8c"])
def test_drawn_from_the_store(name: str, source: Recorded) -> None:
    drawn = draw(BY_NAME[name], "paper", source)
    assert drawn.missing == ""
    assert drawn.svg.startswith("<svg ")
    assert drawn.seeds == 3
    assert drawn.notes == ()
    assert drawn.size[0] > 100
    # Ids of several drawings must not meet on the page, and every reference must be within its own
    # drawing.
    ids = set(re.findall(r'\bid="([^"]+)"', drawn.svg))
    assert ids
    assert all(each.startswith(f"{name}-paper-") for each in ids)
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', drawn.svg)) <= ids


def test_what_is_drawn_beside_may_be_absent_and_is_then_said(source: Recorded) -> None:
    drawn = draw(BY_NAME["10b"], "paper", source)
    assert drawn.svg
    assert drawn.notes == (
        "0 of 6 runs of fig10_time_vs_decay:mnist_low are recorded under protocol paper",
    )


def test_what_is_drawn_beside_is_drawn(tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        for name in ("mnist", "mnist_low"):
            runs = SUITE.runs(f"fig10_time_vs_decay:{name}", Setting("smoke", "paper"))
            store.adopt(
                (made_up(run), Environment(identity(run), torch.__version__, "cpu")) for run in runs
            )
        drawn = draw(
            BY_NAME["10d"],
            "paper",
            Recorded(SUITE, "smoke", store, torch.__version__, "cpu"),
        )
    assert drawn.notes == ()
    assert "0.01" in drawn.svg  # the very low weight decay of the smoke tier


def test_other_versions_are_said(example: Example) -> None:
    with Store(example.store, readonly=True) as store:
        drawn = draw(BY_NAME["2a"], "paper", Recorded(SUITE, "smoke", store, "0.0", "cpu"))
    assert drawn.svg
    assert re.search(r"^21 runs come from another version", drawn.notes[0])


def test_left_out_with_the_count(tmp_path: Path) -> None:
    with Store(tmp_path / "empty.sqlite") as store:
        drawn = draw(
            BY_NAME["2a"],
            "paper",
            Recorded(SUITE, "smoke", store, torch.__version__, "cpu"),
        )
    assert not drawn.svg
    assert (
        drawn.missing
        == "0 of 21 runs of fig02_teacher_student:landscape are recorded under protocol paper"
    )


def test_damaged_evidence_leaves_the_figure_out_with_the_reason(tmp_path: Path) -> None:
    for path in (CLAIMS / "audit.yaml", *CLAIMS.glob("fig02*")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "fig02_teacher_student.landscape.paper.parquet").write_bytes(b"no")
    drawn = draw(BY_NAME["2a"], "paper", Recorded(load_suite(tmp_path), "paper"))
    assert not drawn.svg
    assert "cannot be drawn" in drawn.missing
    assert "landscape.paper.parquet" in drawn.missing


class Broken:
    """A drawing that does not draw, or whose text cannot be laid out."""

    def __init__(self, title: str) -> None:
        self.title = title

    def draw(self, *given: object) -> Canvas:
        if not self.title:
            raise KeyError("test_acc")
        canvas = Canvas(1, 1)
        canvas.flat()[0].set_title(self.title)
        return canvas

    def describe(self) -> str:
        return "nothing"


@pytest.mark.parametrize(
    ("title", "said"),
    [("", "cannot be drawn: KeyError: 'test_acc'"), ("$^$", "cannot be drawn: ValueError: ")],
)
def test_any_error_of_a_drawing_leaves_it_out_with_the_reason(
    title: str, said: str, source: Recorded
) -> None:
    panel = Panel("x", "x", ("fig02_teacher_student:landscape",), Broken(title))
    drawn = draw(panel, "paper", source)
    assert not drawn.svg
    assert said in drawn.missing


def test_smoke_never_shows_paper_evidence() -> None:
    drawn = draw(BY_NAME["2a"], "paper", Recorded(SUITE, "smoke"))
    assert not drawn.svg
    assert "0 of 21 runs" in drawn.missing
