"""A break against a learning curve."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.stats.critical import broken_line, critical_size, delta_aicc, learning_curve
from omnigrok.stats.finding import Verdict

N = np.logspace(2, 4.5, 12)
BROKEN = np.where(N < 1000, 0.8 * (N / 1000) ** -0.1, 0.8 * (N / 1000) ** -0.8)
CURVE = 3 * N**-0.5 + 0.02


def draws(mean: np.ndarray, n: int = 5, noise: float = 0.03, seed: int = 0) -> np.ndarray:
    return np.asarray(mean * np.exp(noise * np.random.default_rng(seed).normal(size=(n, mean.size))))


def test_exact_fits_recover_their_parameters() -> None:
    line = broken_line(N, BROKEN)
    assert line.break_at == pytest.approx(1000, rel=1e-3)
    assert (line.slope_below, line.slope_above) == pytest.approx((-0.1, -0.8), abs=1e-3)
    curve = learning_curve(N, CURVE)
    assert (curve.scale, curve.rate, curve.floor) == pytest.approx((3, 0.5, 0.02), rel=1e-3)


def test_a_pure_power_law_has_no_floor() -> None:
    assert learning_curve(N, 3 * N**-0.5).floor == pytest.approx(0, abs=1e-5)


def test_aicc_by_hand() -> None:
    y = draws(BROKEN, 1)[0]
    line = broken_line(N, y)
    x = np.log(N)
    design = np.column_stack((np.ones(12), x, np.maximum(x - math.log(line.break_at), 0)))
    rss = float(np.linalg.lstsq(design, np.log(y), rcond=None)[1][0])
    # Five parameters with sigma: 12 log(rss / 12) + 10 + 60 / 6.
    assert line.aicc == pytest.approx(12 * math.log(rss / 12) + 20)


def test_a_break_is_found() -> None:
    found = critical_size("critical size", N, draws(BROKEN))
    assert found.verdict() is Verdict.REPRODUCED
    assert found.smoke_verdict() is Verdict.REPRODUCED
    assert found.extra["break"] == pytest.approx(1000, rel=0.2)
    assert found.extra["slope_above"] < found.extra["slope_below"] < 0
    assert found.extra["delta_of_mean"] > found.estimate > 0


def test_a_flat_curve_shows_no_break() -> None:
    assert critical_size("critical size", N, draws(np.full(12, 0.3), 8)).verdict() is not Verdict.REPRODUCED


@pytest.mark.parametrize("mean", [CURVE, 3 * N**-0.5], ids=["plateau", "pure"])
def test_a_learning_curve_is_refuted(mean: np.ndarray) -> None:
    found = critical_size("critical size", N, draws(mean, 8))
    assert found.verdict() is Verdict.REFUTED
    assert found.estimate < 0


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_units_do_not_matter(size_unit: float, error_unit: float) -> None:
    y = draws(BROKEN, 1)[0]
    assert delta_aicc(N * size_unit, y * error_unit) == pytest.approx(delta_aicc(N, y), abs=0.05)


def test_a_sharper_break_is_preferred_more() -> None:
    noise = draws(np.ones(12), 1)[0]
    deltas = [delta_aicc(N, noise * np.where(N < 1000, 1, (N / 1000) ** -power)) for power in (0.2, 0.5, 1.0, 2.0)]
    assert deltas == sorted(deltas)


def test_missing_seeds_and_rng() -> None:
    y = draws(BROKEN, 4)
    y[1, 3] = math.nan
    found = critical_size("c", N, y)
    assert found.n == 4
    assert math.isnan(found.values[1])
    assert "1 of 4" in found.note
    many = draws(BROKEN, 20)
    one, again, other = (critical_size("c", N, many, rng=np.random.default_rng(k)).ci for k in (1, 1, 2))
    assert one == again != other
    assert critical_size("c", N, np.full((2, 12), math.nan)).verdict() is Verdict.INCONCLUSIVE


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="at least 7 sizes"):
        critical_size("c", N[:6], draws(BROKEN)[:, :6])
    with pytest.raises(ValueError, match="y > 0"):
        critical_size("c", N, -draws(BROKEN))
    with pytest.raises(ValueError, match="expected sizes"):
        critical_size("c", N[:-1], draws(BROKEN))
    with pytest.raises(ValueError, match="strictly rising"):
        broken_line(N[::-1], BROKEN)
