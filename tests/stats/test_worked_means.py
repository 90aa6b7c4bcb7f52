"""Worked examples of the detectors that take one number a seed, each answered in another way than
by the package.
"""

import itertools
import math

import numpy as np
import pandas as pd
import pingouin
import pytest
from scipy.stats import spearmanr
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from omnigrok.stats import (
    Region,
    Verdict,
    benjamini_hochberg,
    equivalent,
    holm,
    intraclass,
    mean_in_region,
    share,
    spearman_in_region,
)
from omnigrok.stats.association import rank_agreement, stratified_correlation

RATES = [1.02, 0.97, 1.05, 0.99, 1.00]
# Share of seeds, n, and the two ends of the Clopper-Pearson interval to three digits, from the
# tables of Pearson & Hartley.
SHARES = [(5, 5, 0.478, 1.0), (10, 10, 0.692, 1.0), (9, 10, 0.555, 0.997), (3, 10, 0.067, 0.652)]
# Seeds in rows, weight decays in columns.
TIMES = [[9.0, 7.0, 5.5], [8.0, 6.5, 4.0], [9.5, 7.9, 6.0], [8.4, 6.3, 4.9]]


def test_mean() -> None:
    found = mean_in_region("rate", RATES, Region(0.9, 1.1, closed=True))
    assert found.estimate == pytest.approx(1.006)
    assert found.ci == pytest.approx(DescrStatsW(RATES).tconfint_mean())
    assert found.verdict() is Verdict.REPRODUCED


def test_geometric_mean() -> None:
    found = mean_in_region("factor", [2.0, 8.0, 4.0], Region(1.0), log=True)
    assert found.estimate == pytest.approx(4.0)
    # Logs base 2 are 1, 3, 2: mean 2, standard error 1 / sqrt(3), t(.975, 2) = 4.3027.
    assert found.ci == pytest.approx(
        (2 ** (2 - 4.302653 / math.sqrt(3)), 2 ** (2 + 4.302653 / math.sqrt(3))), rel=1e-5
    )


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 3.0, 4.0, 5.0], [-1.0, 2.0, 3.0, 4.0], [1.0, -3.0, 2.0]]
)
def test_sign_flips_are_counted(values: list[float]) -> None:
    flips = [
        sum(sign * value for sign, value in zip(signs, values, strict=True))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    expected = sum(flip >= sum(values) for flip in flips) / len(flips)
    assert mean_in_region("d", values, Region(0.0)).p == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "margin"), [(RATES, 0.1), ([0.95, 1.2, 1.1], 0.15), ([1.0, 1.01, 0.98, 1.3], 0.2)]
)
def test_equivalence(values: list[float], margin: float) -> None:
    found = equivalent("rate", values, Region(1 - margin, 1 + margin))
    p, *_ = DescrStatsW(values).ttost_mean(1 - margin, 1 + margin)
    assert found.p == pytest.approx(p)
    assert (found.verdict() is Verdict.REPRODUCED) == (p <= 0.05)


@pytest.mark.parametrize(("hits", "n", "low", "high"), SHARES)
def test_share(hits: int, n: int, low: float, high: float) -> None:
    found = share("seeds", [True] * hits + [False] * (n - hits), Region(0.5))
    assert found.ci == pytest.approx((low, high), abs=6e-4)
    assert found.ci == pytest.approx(proportion_confint(hits, n, method="beta"))
    assert found.p == pytest.approx(sum(math.comb(n, k) for k in range(hits, n + 1)) / 2**n)


def test_intraclass() -> None:
    found = intraclass("slow seeds", TIMES, Region(0.5))
    long = pd.DataFrame(
        [(seed, decay, time) for seed, row in enumerate(TIMES) for decay, time in enumerate(row)],
        columns=list("sdt"),
    )
    table = pingouin.intraclass_corr(long, targets="s", raters="d", ratings="t").set_index("Type")
    assert found.estimate == pytest.approx(table.loc["ICC(C,1)", "ICC"])
    assert found.ci == pytest.approx(table.loc["ICC(C,1)", "CI95"], abs=6e-3)


def test_spearman_of_seeds() -> None:
    # Fisher: z of .6 and .8 are ln 4 / 2 and ln 9 / 2, whose mean is ln 6 / 2, which is the z of 5
    # / 7.
    assert spearman_in_region("rho", [0.6, 0.8], Region(0.5), places=9).estimate == pytest.approx(
        5 / 7
    )


def test_correlation_over_tasks() -> None:
    rng = np.random.default_rng(1)
    strata = {task: (rng.normal(size=(3, 6)), rng.normal(size=(3, 6))) for task in "ab"}
    expected = [
        np.mean([spearmanr(left, right).statistic for left, right in zip(x, y, strict=True)])
        for x, y in strata.values()
    ]
    assert stratified_correlation("rho", strata, Region(0.5)).estimate == pytest.approx(
        np.mean(expected)
    )


@pytest.mark.parametrize(
    ("y", "rho", "p"),
    [([1, 2, 3, 4], 1.0, 1 / 24), ([1, 2, 4, 3], 0.8, 4 / 24), ([4, 3, 2, 1], -1.0, 1.0)],
)
def test_agreement_of_tasks(y: list[int], rho: float, p: float) -> None:
    # Of the 24 orders of four, one has rho 1 and three have .8 (one neighbouring pair exchanged).
    found = rank_agreement("rho", [1, 2, 3, 4], y, Region(0.0))
    assert found.estimate == pytest.approx(rho)
    assert found.p == pytest.approx(p)


def test_many_claims() -> None:
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert list(holm(p).values()) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert list(holm(p).values()) == pytest.approx(
        multipletests(list(p.values()), method="holm")[1]
    )
    assert list(benjamini_hochberg(p).values()) == pytest.approx(
        multipletests(list(p.values()), method="fdr_bh")[1]
    )
