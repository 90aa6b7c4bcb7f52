"""The public face of omnigrok.stats."""

import math

import numpy as np
import pytest

from omnigrok import stats
from omnigrok.stats import Finding, Region, Time, Verdict


def test_every_public_name_exists_and_is_sorted() -> None:
    assert stats.__all__ == sorted(stats.__all__)
    assert all(hasattr(stats, name) for name in stats.__all__)


def findings(n: int) -> list[Finding]:
    """One finding of every statistic, with the last seed missing or censored wherever it can be."""
    rng = np.random.default_rng(n)
    x = np.logspace(-1, 1, 9)
    u = (0.01 + np.log10(x) ** 2) * np.exp(0.1 * rng.normal(size=(n, 9)))
    value = np.append(1 + 0.1 * rng.normal(size=n - 1), math.nan)
    late = [Time.at(t, 1e5) for t in 3000 * np.exp(0.2 * rng.normal(size=n - 1))] + [
        Time.never(1e5)
    ]
    early = [Time.at(100, 1e5)] * n
    t = 1000 / x * np.exp(0.05 * rng.normal(size=(n, 9)))
    times = stats.times_from(np.where(t > 6000, math.nan, t), 6000)
    inside = Region(0.5, 2)
    return [
        stats.mean_in_region("a", value, inside),
        stats.mean_in_region("b", value, inside, log=True),
        stats.equivalent("c", value, inside),
        stats.share("d", [True] * n, Region(0.5)),
        stats.spearman_in_region("e", value.clip(-1, 1) * 0.9, Region(0.5), places=9),
        stats.intraclass("f", np.log(t), Region(0.5)),
        stats.trend("g", u, direction="rising"),
        *stats.u_shape("h", x, u, 1.0),
        *stats.l_shape("i", x, u, 1.0),
        stats.knee("j", x, u, 0.5, region=inside),
        stats.argmin("k", x, u, inside),
        stats.time_ratio("l", late, early, Region(10)),
        *stats.exponent("m", x, times, Region(-1.15, -0.85)),
        stats.slope_equivalent("n", x, times),
        stats.dose_response("o", x, u < 0.3, inside),
        stats.critical_size("p", x, u),
        stats.bracket("q", x, u < 0.3, inside),
    ]


@pytest.mark.parametrize("n", [3, 5, 10, 21])
def test_every_finding_serves_both_tiers(n: int) -> None:
    for found in findings(n):
        assert found.n == n == len(found.values), found.name
        assert found.ci is not None, found.name
        assert not found.ci[0] > found.ci[1], found.name
        assert found.method, found.name
        assert found.region is not None, found.name
        assert found.verdict() in Verdict
        assert found.smoke_verdict() in Verdict
        assert (found.p is None) == (found.smallest_p is None), found.name
        if found.p is not None and found.smallest_p is not None:
            assert found.smallest_p <= found.p * (1 + 1e-9) <= 1 + 2e-9, found.name
        assert all(isinstance(v, float) for v in (*found.values, *found.ci, found.estimate)), (
            found.name
        )


@pytest.mark.parametrize("n", [3, 10, 21])
def test_every_statistic_is_deterministic(n: int) -> None:
    assert repr(findings(n)) == repr(findings(n))
