"""A smoke audit with made-up curves: a run store with every run that the figures are drawn from,
and the JSON of all claims.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omnigrok.audit.document import SuitePart, load_audit
from omnigrok.curves import Curves
from omnigrok.paper.panels import PANELS
from omnigrok.report.page import draw_all, render, render_site
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.suite.suite import Setting, load_suite
from omnigrok.training.calendar import log_steps
from omnigrok.training.identity import identity

CLAIMS = Path(__file__).parents[2] / "claims"
SUITE = load_suite(CLAIMS)
DEVICE = "cpu"
TWICE = "fig02_teacher_student"  # the figure that the example has under two protocols


def made_up(run: Run) -> Curves:
    """Curves with an L in the training loss, a U in the test loss, and a delay that grows with
    alpha and shrinks with weight decay.
    """
    step = np.array(log_steps(run), dtype=np.int64)
    late = 0.5 * run.steps / (1 + 10 * run.weight_decay)
    fit, learn = (
        1 / (1 + np.exp(-3 * np.log((step + 1) / at))) for at in (0.02 * run.steps + 1, late + 1)
    )
    floor = 0.01 + 0.3 * abs(np.log(max(run.alpha, 0.01))) / 5 + 0.2 * run.messiness
    wobble = 1 + 0.02 * (run.seed + 1)
    train, test = 1.2 * wobble * (1 - fit) + 1e-4, wobble * (1.3 * (1 - learn) + floor)
    norm = 10 * (run.alpha + 0.1) * np.exp(-run.lr * run.weight_decay * step)
    columns = {
        "train_loss": train,
        "test_loss": test,
        "train_acc": fit,
        "test_acc": learn / (1 + floor),
        "weight_norm": norm,
    }
    for other in ("acc_code", "acc_euclid"):
        columns |= {f"train_{other}": fit, f"test_{other}": learn}
    return Curves(run, step, columns, seconds=0.5)


def flat(html: str) -> str:
    """A page as it reads: any run of white space is one space, as a browser shows it."""
    return " ".join(html.split())


def row(
    name: str, protocol: str = "paper", verdict: str = "REPRODUCED", **more: Any
) -> dict[str, Any]:
    """One row of an audit document."""
    region = {"lo": 0.5, "hi": "inf", "closed": False, "text": "> 0.5"}
    finding = {
        "name": "a ratio",
        "estimate": 2.0,
        "ci": [1.0, 3.0],
        "p": 0.01,
        "n": 10,
        "censored": 1,
        "smallest_p": 0.001,
        "region": region,
        "values": [1.5, 2.0, 2.5],
        "verdict": verdict
        if verdict in ("REPRODUCED", "REFUTED", "INCONCLUSIVE")
        else "INCONCLUSIVE",
        "decides": True,
        "method": "t interval",
        "note": "",
        "extra": {},
        "level": 0.95,
    }
    return {
        "id": name,
        "figure": "toy",
        "protocol": protocol,
        "tier": "paper",
        "verdict": verdict,
        "reason": "because",
        "findings": [finding],
        "scale": "full",
        "reduction": "",
        "cost": {"runs": 3, "steps": 30, "seconds": 90.0, "shared_runs": 1},
        "digests": {},
        "stale": 0,
        "headline": False,
        "statement": "a sentence",
        "place": "Section 1",
        "control": {"verdict": "REFUTED", "reason": "as it should", "findings": []},
        **more,
    }


def document(*rows: dict[str, Any], tier: str = "paper", device: str = DEVICE) -> dict[str, Any]:
    """An audit document."""
    versions = {"omnigrok": "0", "torch": torch.__version__}
    return {
        "schema": 1,
        "tier": tier,
        "device": device,
        "versions": versions,
        "suite": SuitePart.of(SUITE).model_dump(mode="json"),
        "claims": list(rows),
    }


@dataclass(frozen=True)
class Example:
    """A smoke audit on disk."""

    audit: Path
    store: Path


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    folder = tmp_path_factory.mktemp("example")
    runs: dict[Run, None] = {}
    for panel in PANELS:
        protocols = ("paper", "code") if panel.figure == TWICE else ("paper",)
        for experiment in panel.experiments:
            for protocol in protocols:
                runs |= dict.fromkeys(SUITE.runs(experiment, Setting("smoke", protocol)))
    with Store(folder / "runs.sqlite") as store:
        store.adopt(
            (made_up(run), Environment(identity(run), torch.__version__, DEVICE)) for run in runs
        )
    verdicts = ("REPRODUCED", "REFUTED", "INCONCLUSIVE", "ERROR", "NOT RUN")
    claims = [(figure.figure, claim) for figure in SUITE.figures for claim in figure.claims]
    rows = [
        row(
            claim.id,
            protocol,
            verdict=verdicts[(place + shift) % 5],
            figure=name,
            tier="smoke",
            statement=claim.statement,
            place=claim.place,
            headline=claim.headline,
        )
        for place, (name, claim) in enumerate(claims)
        for shift, protocol in enumerate(claim.protocols)
        if protocol == "paper" or (name == TWICE and protocol == "code")
    ]
    (folder / "audit.json").write_text(json.dumps(document(*rows, tier="smoke")))
    return Example(folder / "audit.json", folder / "runs.sqlite")


@pytest.fixture(scope="session")
def drawn(example: Example) -> tuple[Any, ...]:
    """The arguments of ``render`` and ``render_site``: that audit, and its figures."""
    audit = load_audit(example.audit)
    return (audit, SUITE, *draw_all(audit, SUITE, example.store))


@pytest.fixture(scope="session")
def page(drawn: tuple[Any, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that audit."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(*drawn), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def site(drawn: tuple[Any, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same audit as an index and a page for each figure; the path of the index."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in render_site(*drawn).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "index.html"
