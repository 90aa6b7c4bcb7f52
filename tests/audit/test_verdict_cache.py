"""What was judged before is not judged again, and whatever decides a verdict makes it judged
anew.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnigrok.audit import sources
from omnigrok.audit.document import CostPart, UniversesPart
from omnigrok.audit.outcome import Outcome
from omnigrok.audit.session import AuditSession, Options, Request
from omnigrok.audit.verdict_cache import VerdictCache
from omnigrok.cache import Cache, cache_of
from omnigrok.errors import BadInput
from omnigrok.stats.finding import Finding, Region, Verdict
from omnigrok.suite.suite import forget, load_suite

FINDING = Finding(
    name="mean",
    estimate=float(np.float64(0.1) + 0.2),
    ci=(-math.inf, 1.0),
    region=Region(lo=0.0),
    values=(0.1, math.nan, 1 / 3),
    p=0.01,
    n=3,
    extra={"slope": -1.0},
)
YAML = """\
figure: toy
title: Toy
place: nowhere
experiments:
  tiny:
    base:
      {task: teacher_student, model: mlp, n_train: 8, lr: 1.0e-3, steps: 12, data: {n_test: 8},
       network: {widths: [2, 4, 2], activation: tanh}}
    sweep: {seed: {count: 3}, alpha: [0.5, 2.0]}
claims:
  - id: toy.good
    statement: the mean of three numbers is above zero
    place: nowhere
    criterion: {mean: {above: 0}}
    experiments: [tiny]
    quantity: {values: [1]}
    control: {why: these numbers are below zero, quantity: {values: [-1]}}
    "null": sign flips
"""


class Asked:
    """A claims folder, and what a session of its own finds in the cache."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder / "claims", Cache(folder / "cache")
        (self.folder / "evidence").mkdir(parents=True)
        (self.folder / "toy.yaml").write_text(YAML)
        (self.folder / "test_toy.py").write_text("import json\nimport shift_of_toy\n")
        self.evidence = self.folder / "evidence" / "toy.tiny.paper.parquet"
        self.evidence.write_bytes(b"curves")
        self.conftest = folder / "conftest.py"
        self.conftest.write_text("")
        self.device = "cpu"
        self.began = math.inf

    def session(self, role: str = "claim", **options: Any) -> tuple[VerdictCache, Request]:
        forget()
        suite = load_suite(self.folder)
        figure, claim = suite.claim("toy.good")
        request = Request(suite, figure, claim, "paper", role, lambda case: None)
        audit = AuditSession(Options(tier="paper", replay=True, **options), [request])
        return VerdictCache(self.cache, audit, True, self.began, [self.conftest]), request

    def put(self, verdict: Verdict = Verdict.REPRODUCED) -> Outcome:
        verdicts, request = self.session()
        outcome = Outcome(
            *("toy.good", "toy", "paper", "paper", "claim", verdict),
            reason="as it is",
            findings=(FINDING, dataclasses.replace(FINDING, ci=None, region=None)),
            cost=CostPart(runs=6, seconds=0.25),
            edge=("mean",),
            universes=UniversesPart(n=1, curve=((0.1, None, math.inf, "REPRODUCED", "x"),)),
        )
        verdicts.put(request, outcome)
        return outcome

    def get(self, role: str = "claim", **options: Any) -> Outcome | None:
        verdicts, request = self.session(role, **options)
        return verdicts.get(request)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "shift_of_toy.py").write_text("SHIFT = 0\n")
    monkeypatch.syspath_prepend(tmp_path / "package")
    return Asked(tmp_path)


def test_an_outcome_comes_back_as_it_was(asked: Asked) -> None:
    outcome = asked.put()
    found = asked.get()
    assert found is not None
    assert found.row().model_dump_json() == outcome.row().model_dump_json()
    assert [each.verdict() for each in found.findings] == [
        each.verdict() for each in outcome.findings
    ]


def test_another_item_is_another(asked: Asked) -> None:
    asked.put()
    assert asked.get("control") is None
    assert asked.get(gpu=False) is not None
    assert asked.get(scale="reduced") is None


def test_an_error_is_not_kept(asked: Asked) -> None:
    asked.put(Verdict.ERROR)
    assert asked.get() is None


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


CHANGES: dict[str, Callable[[Asked], object]] = {
    "criterion": lambda asked: (asked.folder / "toy.yaml").write_text(
        YAML.replace("above: 0", "above: 0.1")
    ),
    "criterion of another figure": lambda asked: (asked.folder / "other.yaml").write_text(""),
    "settings of the paper": lambda asked: (asked.folder / "audit.yaml").write_text(
        "title: x\nprotocols: {paper: {about: y}}\n"
    ),
    "check": lambda asked: _append(asked.folder / "test_toy.py", "X = 1\n"),
    "curve": lambda asked: asked.evidence.write_bytes(b"Curves"),
    "no curves": lambda asked: asked.evidence.unlink(),
    "conftest": lambda asked: _append(asked.conftest, "X = 1\n"),
    "module that the check imports": lambda asked: _append(
        asked.folder.parent / "package" / "shift_of_toy.py", "X = 1\n"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_judged_anew(asked: Asked, change: str) -> None:
    asked.put()
    CHANGES[change](asked)
    sources._package.cache_clear()
    assert asked.get() is None


def test_a_changed_statistic_is_judged_anew(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "omnigrok"
    for room in ("stats", "audit", "report"):
        shutil.copytree(sources.HERE / room, copy / room)
    monkeypatch.setattr(sources, "HERE", copy)
    sources.of_package.cache_clear()
    asked.put()
    assert asked.get() is not None
    _append(copy / "report" / "page.py", "\n")
    sources.of_package.cache_clear()
    assert asked.get() is not None, "no check reaches the page"
    _append(copy / "stats" / "comparison.py", "\n")
    sources.of_package.cache_clear()
    assert asked.get() is None
    monkeypatch.undo()
    sources.of_package.cache_clear()


@pytest.mark.parametrize("library", ["numpy", "scipy", "torch"])
def test_another_library_is_judged_anew(
    asked: Asked, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.put()
    monkeypatch.setattr(
        getattr(sources, "np" if library == "numpy" else library), "__version__", "0"
    )
    assert asked.get() is None


def test_what_changed_while_it_was_judged_is_not_kept(asked: Asked) -> None:
    asked.began = asked.evidence.stat().st_mtime
    asked.put()
    assert asked.get() is None


@pytest.mark.parametrize("damage", ["cut", "changed", "other"])
def test_a_damaged_entry_is_absent(asked: Asked, damage: str) -> None:
    asked.put()
    (path,) = asked.cache.folder.iterdir()
    content = path.read_text()
    path.write_text(
        {
            "cut": content[: len(content) // 2],
            "changed": content.replace("as it is", "as it was"),
            "other": "[]",
        }[damage]
    )
    assert asked.get() is None
    asked.put()
    assert asked.get() is not None


def test_a_file_that_is_not_in_order_is_left_to_its_claim(asked: Asked) -> None:
    asked.put()
    (asked.folder / "helper.py").write_text("def :")
    assert asked.get() is None
    asked.put()
    assert asked.get() is None


# In a pytest of its own

SAID = re.compile(r"(\d+) of \d+ verdicts and controls were judged before")


def replayed(toy: Any, *args: str) -> tuple[Any, int]:
    """The audit of a replay, and how many outcomes were known."""
    result = toy.run("--replay", "--universes", "--audit-json", "a.json", *args)
    said = SAID.findall(result.stdout.str())
    return json.loads((toy.pytester.path / "a.json").read_text()), int(said[0]) if said else 0


def test_a_replay_from_the_cache(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same audit from it, also with workers; without it, and after a change, all is judged."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(recorded.pytester.path / "cache"))
    monkeypatch.delenv("OMNIGROK_CACHE", raising=False)
    first, known = replayed(recorded)
    assert known == 0
    assert replayed(recorded, "-n", "2") == (first, 2)
    assert replayed(recorded, "--no-cache") == (first, 0)
    recorded.yaml = recorded.yaml.replace("above: 0", "above: 1000")
    second, known = replayed(recorded)
    assert known == 0
    assert [row["verdict"] for row in second["claims"]] == ["REFUTED"]


def test_the_variable_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_CACHE", "0")
    assert cache_of("verdicts") is None
    monkeypatch.setenv("OMNIGROK_CACHE", "1")
    assert isinstance(cache_of("verdicts"), Cache)
    with monkeypatch.context() as patch:
        patch.setenv("OMNIGROK_CACHE", "yes")
        with pytest.raises(BadInput, match="OMNIGROK_CACHE=yes is not accepted"):
            cache_of("verdicts")


def test_an_old_entry_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=4000)
    for number in range(5):
        cache.put(str(number), "x" * 900)
        os.utime(cache._path(str(number)), (number, number))
    assert cache.get("0") == "x" * 900  # and is the youngest now
    cache.trim()
    assert [number for number in range(5) if cache.get(str(number))] == [0, 3, 4]
    assert cache.get("never") is None


def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "folder")
    cache.put("a", 1)
    cache.trim()
    assert cache.get("a") is None
