"""Reduced losses over weight norm and a second axis: messiness m (Sections 5.1 and 5.2) or the
number of samples (Figures 3 to 5).

A ``Landscape`` holds one reduced loss (Eqs. 1, 3 and 5) on a grid, w being the true weight norm,
and interpolates its logarithm over ln w.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline, NdBSpline, make_interp_spline
from scipy.ndimage import gaussian_filter

from omnigrok.errors import BadInput, Diverged, EvidenceError
from omnigrok.stats.crossing import Crossing, first_fall

Array = NDArray[np.float64]

FLOOR = 1e-12
CUBIC = 3


@dataclass(frozen=True, eq=False)
class Landscape:
    """One reduced loss on a grid.

    Args:
        w: (W,) rising, the true weight norm.
        m: (M,) rising, the messiness (or what the second axis is).
        loss: (W, M), 0 or above.
        degree: of the interpolating spline in ln w and m, 3 (smooth gradients) or 1 (no overshoot).
        floor: smaller losses count as this; the default is about the square of float32's rounding.

    Raises:
        BadInput: an axis does not rise, is too short for the degree, w is not positive, or the
            shapes do not fit.
        Diverged: a loss is NaN, infinite or negative.
    """

    w: Array
    m: Array
    loss: Array
    degree: int = 3
    floor: float = FLOOR
    _spline: NdBSpline = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("w", "m", "loss"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))
        for name, axis in (("w", self.w), ("m", self.m)):
            if axis.ndim != 1 or len(axis) <= self.degree or not (np.diff(axis) > 0).all():
                raise BadInput(
                    f"landscape: {name} must rise and hold at least {self.degree + 1} values for "
                    f"degree {self.degree}"
                )
        if self.w[0] <= 0:
            raise BadInput(
                "landscape: w must be above 0 (its logarithm is taken); leave out alpha = 0"
            )
        if self.loss.shape != (len(self.w), len(self.m)):
            raise BadInput(
                f"landscape: loss has shape {self.loss.shape}, its axes "
                f"{(len(self.w), len(self.m))}"
            )
        bad = np.argwhere(~np.isfinite(self.loss) | (self.loss < 0))
        if len(bad):
            raise Diverged(
                f"landscape: loss at w = {self.w[bad[0, 0]]:.4g}, m = {self.m[bad[0, 1]]:.4g} is "
                f"{self.loss[tuple(bad[0])]}"
            )
        along_w = make_interp_spline(np.log(self.w), self.log_loss, k=self.degree)
        along_m = make_interp_spline(self.m, along_w.c.T, k=self.degree)
        object.__setattr__(
            self,
            "_spline",
            NdBSpline((along_w.t, along_m.t), np.ascontiguousarray(along_m.c.T), self.degree),
        )

    @property
    def log_loss(self) -> Array:
        """(W, M) natural logarithm of the loss."""
        return np.asarray(np.log(np.maximum(self.loss, self.floor)))

    def at(self, w: ArrayLike, m: ArrayLike) -> Array:
        """Interpolated loss at the points (w, m), which broadcast; outside the grid the value at
        its edge.
        """
        return np.asarray(np.exp(self._spline(self._inside(w, m))))

    def slope(self, w: ArrayLike, m: ArrayLike) -> tuple[Array, Array]:
        """dl / d ln w and dl / dm at the points (w, m), which broadcast. Divide the first by w for
        dl / dw.
        """
        points = self._inside(w, m)
        loss = np.exp(self._spline(points))
        return loss * self._spline(points, nu=(1, 0)), loss * self._spline(points, nu=(0, 1))

    def slope_at(self, w: float, m: float) -> tuple[float, float]:
        """``slope`` at one point of a landscape of degree 2 or more, some times faster: an
        integrator asks for hundreds of thousands.
        """
        (w_low, w_high, m_low, m_high), left, below, pieces = self._pieces
        u, v = math.log(min(max(w, w_low), w_high)), min(max(m, m_low), m_high)
        i, j = max(bisect_right(left, u) - 1, 0), max(bisect_right(below, v) - 1, 0)
        x, y = u - left[i], v - below[j]
        c = pieces[i][j]
        # Horner's rule with derivatives, highest powers first, written out: a loop over four cubics
        # in y takes most of the time of an integration.
        line_0, line_1 = c[0] * y + c[1], c[4] * y + c[5]
        line_2, line_3 = c[8] * y + c[9], c[12] * y + c[13]
        arc_0, arc_1 = line_0 * y + c[2], line_1 * y + c[6]
        arc_2, arc_3 = line_2 * y + c[10], line_3 * y + c[14]
        by_v = (
            (((c[0] * y + line_0) * y + arc_0) * x + ((c[4] * y + line_1) * y + arc_1)) * x
            + ((c[8] * y + line_2) * y + arc_2)
        ) * x + ((c[12] * y + line_3) * y + arc_3)
        first = arc_0 * y + c[3]
        second = first * x + (arc_1 * y + c[7])
        third = second * x + (arc_2 * y + c[11])
        by_u = (first * x + second) * x + third
        loss = math.exp(third * x + (arc_3 * y + c[15]))
        return loss * by_u, loss * by_v

    @cached_property
    def _pieces(
        self,
    ) -> tuple[list[float], list[float], list[float], list[list[list[float]]]]:
        """The spline as polynomials: ends of w and m, left ends of the pieces in ln w and m,
        [piece][piece] the 16 coefficients of a bicubic, by power of ln w and then of m.
        """
        window, starts, bases = self.degree + 1, [], []
        for knots in self._spline.t:
            start = np.unique(knots)[:-1]
            basis = BSpline(knots, np.eye(len(knots) - window), self.degree)
            powers = np.zeros((len(start), CUBIC + 1, window))
            for power in range(window):
                values = basis(start, nu=power) / math.factorial(power)
                # On piece i only the functions from the i-th on differ from 0.
                powers[:, CUBIC - power] = [row[i : i + window] for i, row in enumerate(values)]
            starts.append(start.tolist())
            bases.append(powers)
        coefficients = sliding_window_view(self._spline.c, (window, window))
        pieces = np.einsum("ipa,ijab,jqb->ijpq", bases[0], coefficients, bases[1])
        return (
            [*self.w[[0, -1]].tolist(), *self.m[[0, -1]].tolist()],
            starts[0],
            starts[1],
            pieces.reshape(*pieces.shape[:2], -1).tolist(),
        )

    def _inside(self, w: ArrayLike, m: ArrayLike) -> Array:
        """(..., 2) the points (ln w, m), moved to the edge of the grid if outside."""
        low, high = (self.w[0], self.m[0]), (self.w[-1], self.m[-1])
        u, v = np.broadcast_arrays(np.log(np.clip(w, low[0], high[0])), np.clip(m, low[1], high[1]))
        return np.stack([u, v], axis=-1)

    def crossings(self, level: float) -> NDArray[np.int64]:
        """(M,) how many times each column of the grid crosses ``level``."""
        return np.asarray(
            np.count_nonzero(np.diff(self.loss > level, axis=0), axis=0), dtype=np.int64
        )

    def boundary(self, level: float) -> tuple[Crossing, ...]:
        """(M,) where each column, from small w on, first falls to ``level``; ln l is linear in ln w
        between two grid points."""
        columns = np.maximum(self.loss, self.floor).T
        return tuple(first_fall(self.w, column, level, self.floor) for column in columns)

    def contour(self, level: float) -> Array:
        """(M,) ``boundary`` as weight norms: 0 where it lies left of the grid (the first value is
        at or under ``level`` already), infinity where it is never reached."""
        return np.array(
            [
                math.inf if math.isinf(each.high) else each.at if each.low > 0 else 0.0
                for each in self.boundary(level)
            ]
        )

    def gradient_sizes(self, level: float, in_log_w: bool = False) -> tuple[Array, Array]:
        """Sizes of the loss's gradient at the grid points left, and right, of the contour of
        ``level`` (regions I and II).

        Central differences on the grid, with respect to (w, m) as in Eq. 6, or to (ln w, m).
        """
        axis = np.log(self.w) if in_log_w else self.w
        size = np.hypot(*np.gradient(self.loss, axis, self.m))
        left = self.w[:, None] < self.contour(level)
        return size[left], size[~left]

    def range_over_m(self) -> Array:
        """(W,) largest minus smallest loss over m at each w, over the mean loss at the
        smallest w.
        """
        return np.asarray(np.ptp(self.loss, axis=1) / max(self.loss[0].mean(), self.floor))

    def with_unit_of_m(self, unit: float) -> Landscape:
        """The same with m in units of ``unit``, so that a rate of m is one per that unit."""
        return replace(self, m=self.m / unit)

    def smoothed(self, sigma: float) -> Landscape:
        """The logarithm of the loss after a Gaussian filter of ``sigma`` grid cells (the published
        maps have 1, on the loss itself).
        """
        return replace(self, loss=np.exp(gaussian_filter(self.log_loss, sigma, mode="nearest")))

    def permuted_w(self, seed: int) -> Landscape:
        """The same values with the order of w shuffled within each column: a control, on which no
        claim about w holds.
        """
        return replace(self, loss=np.random.default_rng(seed).permuted(self.loss, axis=0))


def from_runs(
    alpha: ArrayLike, m: ArrayLike, loss: ArrayLike, norm: ArrayLike, degree: int = 3
) -> Landscape:
    """A Landscape from one value a run, in any order.

    Args:
        alpha: (n,) initialization scale, which with ``m`` names the grid point; runs with alpha = 0
            are left out.
        m: (n,) messiness.
        loss: (n,) reduced loss.
        norm: (n,) true weight norm at which it was read, the same at each m.
        degree: see ``Landscape``; lower if an axis is too short for it.

    Raises:
        BadInput: the arrays differ in length, the norm does not rise with alpha, or depends on m.
        EvidenceError: a grid point has no run, or more than one.
        Diverged: a loss is NaN, infinite or negative.
    """
    columns = [np.asarray(column, dtype=float) for column in (alpha, m, loss, norm)]
    if any(column.shape != (len(columns[0]),) for column in columns):
        lengths = [column.shape for column in columns]
        raise BadInput(f"landscape: alpha, m, loss and norm must be of one length, not {lengths}")
    kept = columns[0] != 0
    scales, messiness, losses, norms = (column[kept] for column in columns)
    scale_axis, row = np.unique(scales, return_inverse=True)
    m_axis, column_of = np.unique(messiness, return_inverse=True)
    count = np.zeros((len(scale_axis), len(m_axis)), dtype=int)
    np.add.at(count, (row, column_of), 1)
    wrong = np.argwhere(count != 1)
    if len(wrong):
        i, j = wrong[0]
        raise EvidenceError(
            f"landscape: alpha = {scale_axis[i]:.4g}, m = {m_axis[j]:.4g} has {count[i, j]} runs, "
            "not 1"
        )
    grid, norm_grid = np.empty(count.shape), np.empty(count.shape)
    grid[row, column_of], norm_grid[row, column_of] = losses, norms
    w = np.median(norm_grid, axis=1)
    if not (np.diff(w) > 0).all():
        raise BadInput("landscape: the weight norm must rise with alpha")
    if not np.allclose(norm_grid, w[:, None], rtol=1e-5, atol=0):
        raise BadInput("landscape: the weight norm must be the same at each m")
    return Landscape(w, m_axis, grid, min(degree, *(length - 1 for length in count.shape)))


@dataclass(frozen=True)
class Solution:
    """The generalising solution, the green star of Figure 6: a cell of the grid.

    Args:
        w: its weight norm.
        m: its messiness, the smallest of the grid (0).
        low, high: the norms of the neighbouring cells, between which it lies; 0 and infinity where
            it is the first or last cell.
    """

    w: float
    m: float
    low: float
    high: float

    @property
    def point(self) -> tuple[float, float]:
        """(w, m)."""
        return self.w, self.m


def generalising_solution(
    train: Landscape, test: Landscape, accuracy: Landscape, level: float, least: float = 0.9
) -> Solution | None:
    """The cell of the smallest test loss at the smallest m, among those that fit and generalise.

    Args:
        train, test: reduced losses on one grid.
        accuracy: the reduced test accuracy on the same grid.
        level: of the training loss, at or under which a cell fits (region II of Figure 6a).
        least: test accuracy from which on a cell generalises.

    Returns:
        None if no cell does both.
    """
    # Accuracies are recorded as float32, in which .9 is a little less than .9.
    fits = (train.loss[:, 0] <= level) & (accuracy.loss[:, 0] >= least - 1e-6)
    if not fits.any():
        return None
    cell = int(np.where(fits, test.loss[:, 0], np.inf).argmin())
    around = np.concatenate(([0.0], test.w, [np.inf]))
    return Solution(
        float(test.w[cell]), float(test.m[0]), float(around[cell]), float(around[cell + 2])
    )
