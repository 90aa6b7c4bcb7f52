"""Every detector is calibrated, the committed table is of these trials, and a short calibration
holds the bounds.
"""

import importlib
import inspect
import math
import pkgutil
from pathlib import Path

import pytest
from scipy.stats import binom

import omnigrok.paper.trials
from omnigrok import stats
from omnigrok.calibration.rates import (
    COVERAGE_SLACK,
    LARGEST_FALSE_POSITIVE,
    TrialRow,
    measure,
    reproduced,
    simulate,
)
from omnigrok.calibration.registry import trials_of
from omnigrok.calibration.table import HEADINGS, cells, markdown
from omnigrok.calibration.trial import SEED, Trial
from omnigrok.errors import BadInput
from omnigrok.paper.trials import TRIALS, UNCALIBRATED
from omnigrok.suite.suite import load_suite

CLAIMS = Path(__file__).parents[2] / "claims"
TABLE = Path(omnigrok.paper.trials.__file__).with_name("TABLE.md")
# More than a few milliseconds a draw.
DEAR = ("critical_size", "dose_response", "association.stratified_correlation")
DRAWS = 60


def label(trial: Trial) -> str:
    return f"{trial.detector}: {trial.null}"


def table_rows() -> list[list[str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    assert tuple(rows[0]) == HEADINGS
    return rows[2:]


def test_every_function_that_gives_findings_is_calibrated_or_said_not_to_be() -> None:
    found = set()
    for info in pkgutil.iter_modules(stats.__path__):
        module = importlib.import_module(f"omnigrok.stats.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            returns = str(inspect.signature(function).return_annotation)
            if (
                function.__module__ == module.__name__
                and not name.startswith("_")
                and ("Finding" in returns or returns == "TwoLines")
            ):
                found.add(name if name in stats.__all__ else f"{info.name}.{name}")
    assert found == {trial.detector for trial in TRIALS} | set(UNCALIBRATED)


def test_rows_have_names_of_their_own() -> None:
    assert len({(trial.detector, trial.null, trial.effect) for trial in TRIALS}) == len(TRIALS)


def test_the_committed_table_is_of_these_trials() -> None:
    assert [(row[0], row[1], row[5]) for row in table_rows()] == [
        (trial.detector, trial.null, trial.effect) for trial in TRIALS
    ]
    assert f"(seed {SEED})" in TABLE.read_text(encoding="utf-8")


def test_the_committed_table_shows_enough_draws_and_bounds_that_hold() -> None:
    for row in table_rows():
        assert int(row[3]) >= 2000, row
        assert row[-1] in ("yes", "conservative"), row
        upper = float(row[4].split(",")[1].rstrip("]"))
        assert upper <= 100 * LARGEST_FALSE_POSITIVE, row


def test_power_is_enough_or_the_seeds_that_would_do_are_named() -> None:
    for row in table_rows():
        assert float(row[6].rstrip(" %")) >= 90 or row[7], row


@pytest.mark.parametrize(
    "trial", [trial for trial in TRIALS if trial.detector not in DEAR], ids=label
)
def test_a_short_calibration(trial: Trial) -> None:
    false = reproduced(simulate(trial, "null", trial.seeds, DRAWS))
    # With so few draws only what a detector that holds its bounds would do once in ten thousand
    # times is a failure.
    assert binom.sf(false.hits - 1, DRAWS, LARGEST_FALSE_POSITIVE) > 1e-4
    if trial.truth is not None:
        ends = [
            sample.ci or (math.nan, math.nan)
            for sample in simulate(trial, "effect", trial.seeds, DRAWS)
        ]
        held = sum(low <= trial.truth <= high for low, high in ends)
        assert binom.cdf(held, DRAWS, trial.level - COVERAGE_SLACK) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("trial", TRIALS, ids=label)
def test_the_full_calibration(trial: Trial) -> None:
    row = measure(trial, 2000)
    assert row.problems == []
    assert list(cells(row)) in table_rows()


def test_an_unknown_detector_is_refused() -> None:
    suite = load_suite(CLAIMS)
    assert [trial.detector for trial in trials_of(suite, "knee")] == ["knee"]
    with pytest.raises(
        BadInput, match=r"unknown detector 'knees'; accepted: mean_in_region, .*knee"
    ):
        trials_of(suite, "knees")


def test_the_table_says_what_fails() -> None:
    row = measure(TRIALS[0], 20)
    (line,) = list(markdown([row]))[-1:]
    assert line.startswith(f"| {TRIALS[0].detector} | ")
    poor = TrialRow(row.trial, row.false_positive.__class__(10, 20), row.power, row.coverage, 0)
    assert "no: false positives" in cells(poor)[-1]
    assert cells(poor)[-3] == "more than 50"
