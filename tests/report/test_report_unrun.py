"""What claims without evidence would cost."""

from __future__ import annotations

from pathlib import Path

from omnigrok.report.unrun import cost_rows, unrun_table
from omnigrok.suite.suite import Setting, load_suite
from omnigrok.training.work import step_operations

CLAIMS = Path(__file__).parents[2] / "claims"
SUITE = load_suite(CLAIMS)


def test_a_claim_without_evidence_costs_all_its_runs(tmp_path: Path) -> None:
    folder = tmp_path / "claims"
    folder.mkdir()
    for path in (CLAIMS / "audit.yaml", *CLAIMS.glob("*fig02*")):
        (folder / path.name).write_bytes(path.read_bytes())
    runs = load_suite(folder).runs("fig02_teacher_student:large", Setting("paper", "paper"))
    assert list(cost_rows(load_suite(folder), ["fig02.inverse"])) == [
        (
            "fig02.inverse",
            len(runs),
            sum(run.steps for run in runs),
            sum(run.steps * step_operations(run) for run in runs),
        )
    ]


def test_what_is_recorded_costs_nothing() -> None:
    rows = {
        name: (runs, steps)
        for name, runs, steps, _ in cost_rows(SUITE, ["fig02.inverse", "fig02.train-L"])
    }
    assert rows["fig02.inverse"] == (0, 0)  # its evidence is at full scale
    assert rows["fig02.train-L"][0] > 0  # its evidence is reduced


def test_runs_of_two_experiments_are_added() -> None:
    (_, both, _, _), *_ = cost_rows(SUITE, ["fig12.needs-alpha"])
    assert both == len(SUITE.runs("fig11_cross_entropy:scales", Setting("paper", "paper")))


def test_table() -> None:
    lines = unrun_table(SUITE, ["fig07.norm-hump", "unknown.claim"])
    assert len(lines) == 3
    assert lines[2].startswith("| fig07.norm-hump | ")
