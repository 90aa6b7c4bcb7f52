"""The reduced dynamics of Eq. 6 on a landscape, and the closed formula for its duration (Section
5.1, Appendix D).

Angles and distances are those of the plane (ln w, m), m as it stands on the landscape's axis: theta
is the angle of the boundary with the w axis, L the distance in ln w, h the distance in m between
the start C and the generalising solution E.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omnigrok.errors import BadInput
from omnigrok.paper.first_event import to_first_event
from omnigrok.paper.landscape import Landscape

Array = NDArray[np.float64]
Point = tuple[float, float]

METRICS = ("w", "ln w")
PATIENCE = 30.0  # times the time in which weight decay alone crosses the grid
SLACK = 1e-9  # by which a path has to cross an end of the grid: one that starts there has not
MAX_PHASES = 100  # how often m may meet an end of the grid and come away from it
# What the first events of a path mean.
OUTCOMES: dict[int | None, str] = {0: "reached", 1: "left"}


@dataclass(frozen=True)
class Dynamics:
    """Eq. 6.

    Args:
        gamma: weight decay.
        eta_d: learning rate of the decoder, which moves w.
        eta_r: learning rate of the representation, which moves m.
        metric: "w" is Eq. 6 as it stands, so that d ln w / dt = -eta_d (dl / d ln w / w^2 + gamma).
            "ln w" leaves the 1 / w^2 out, which is what the paper's derivation of t needs (a force
            at right angles to the boundary in the plane of its drawing).

    Raises:
        BadInput: a value is not accepted.
    """

    gamma: float
    eta_d: float = 1.0
    eta_r: float = 1.0
    metric: str = "w"

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise BadInput(
                f"trajectory: metric = {self.metric!r} is not accepted; one of {', '.join(METRICS)}"
            )
        if not (self.gamma >= 0 and self.eta_d > 0 and self.eta_r >= 0):
            raise BadInput(
                f"trajectory: gamma and eta_r must be 0 or above and eta_d above 0, not {self}"
            )

    def velocity(self, landscape: Landscape, w: float, m: float) -> tuple[float, float]:
        """d ln w / dt and dm / dt at one point."""
        by_log_w, by_m = landscape.slope_at(w, m)
        if self.metric == "w":
            by_log_w /= w**2
        return -self.eta_d * (by_log_w + self.gamma), -self.eta_r * by_m


@dataclass(frozen=True, eq=False)
class Path:
    """A solution of Eq. 6.

    Args:
        t: (T,) time from 0, never falling.
        w: (T,) weight norm.
        m: (T,) messiness.
        outcome: "reached" the generalising solution, "left" the grid in w, or "out of time".
    """

    t: Array
    w: Array
    m: Array
    outcome: str

    @property
    def time(self) -> float:
        """When it reached the generalising solution; infinity if it did not (censored)."""
        return float(self.t[-1]) if self.outcome == "reached" else np.inf

    def losses(self, landscape: Landscape) -> Array:
        """(T,) a reduced loss along the path (Figure 6c)."""
        return landscape.at(self.w, self.m)


def travel(
    landscape: Landscape,
    start: Point,
    goal: Point,
    dynamics: Dynamics,
    reach: Point = (0.05, 0.02),
    t_max: float | None = None,
    points: int = 500,
) -> Path:
    """Integrates Eq. 6 from ``start`` until the path is within ``reach`` of ``goal``, leaves the
    grid in w, or t is ``t_max``.

    At an end of the grid in m (0 and 1 in the paper) m is held for as long as its velocity points
    outwards.

    Args:
        landscape: reduced training loss, of degree 2 or more: a path would slide along the kinks of
            a linear one in ever smaller steps. Noise of the grid makes pits that hold a path; see
            ``Landscape.smoothed``.
        start: (w, m).
        goal: (w, m) of the generalising solution.
        dynamics: rates and metric.
        reach: half widths of the box around the goal, in ln w and as a share of the range of m.
        t_max: default 30 times the time in which weight decay alone crosses the grid; required with
            gamma = 0.
        points: of the path in each phase (free, held), evenly spread over the integrator's own,
            which are dense where the path turns.

    Raises:
        BadInput: start or goal lies outside the grid, the landscape has degree 1, or gamma = 0
            comes without ``t_max``.
        Diverged: the integrator gave up.
    """
    if landscape.degree < 2:
        raise BadInput(
            "trajectory: the landscape has degree 1, which has no continuous gradient; give it "
            "degree 3"
        )
    for name, (w, m) in (("start", start), ("goal", goal)):
        if not (landscape.w[0] <= w <= landscape.w[-1] and landscape.m[0] <= m <= landscape.m[-1]):
            raise BadInput(f"trajectory: {name} {(w, m)} lies outside the landscape's grid")
    (low, high), ends = (
        np.log(landscape.w[[0, -1]]).tolist(),
        (float(landscape.m[0]), float(landscape.m[-1])),
    )
    if t_max is None:
        if dynamics.gamma == 0:
            raise BadInput("trajectory: gamma = 0 needs t_max")
        t_max = float(PATIENCE * (high - low) / (dynamics.eta_d * dynamics.gamma))
    goal_u, across = float(np.log(goal[0])), reach[1] * (ends[1] - ends[0])

    def free(t: float, y: Array) -> Point:
        return at(*y.tolist())

    def at(u: float, m: float) -> Point:
        return dynamics.velocity(landscape, math.exp(min(max(u, low), high)), m)

    def held(t: float, y: Array) -> Point:
        return free(t, y)[0], 0.0

    def arrived(u: float, m: float) -> float:
        return max(abs(u - goal_u) / reach[0], abs(m - goal[1]) / across) - 1

    def left(u: float, m: float) -> float:
        return float(min(u - low, high - u) + SLACK)

    def met_end(u: float, m: float) -> float:
        return min(m - ends[0], ends[1] - m) + SLACK

    def outwards(u: float, m: float) -> float:
        return -at(u, m)[1] if m <= ends[0] else at(u, m)[1]

    t, y = 0.0, np.array([np.log(start[0]), start[1]])
    outcome = "reached" if arrived(*y.tolist()) <= 0 else "out of time"
    times, states = [np.zeros(1)], [y[:, None]]
    released = False
    for _ in range(MAX_PHASES):
        if outcome != "out of time" or t >= t_max:
            break
        # Where m has just been let go its velocity is 0 but for a rounding, whose sign must not
        # hold it again.
        is_held = y[1] in ends and outwards(*y.tolist()) > 0 and not released
        events = (arrived, left, outwards if is_held else met_end)
        stretch = to_first_event(held if is_held else free, (t, t_max), y, events, points)
        outcome = OUTCOMES.get(stretch.event, outcome)
        released = is_held and stretch.event == 2
        times.append(stretch.t)
        states.append(stretch.y)
        t, y = float(stretch.t[-1]), stretch.end.copy()
        y[1] = np.clip(y[1], *ends)
    path_t, path_y = np.concatenate(times), np.concatenate(states, axis=1)
    return Path(path_t, np.exp(path_y[0]), np.clip(path_y[1], *ends), outcome)


def starts(landscape: Landscape, level: float, rows: int = 5, columns: int = 4) -> list[Point]:
    """Stated starts in region I (point A of Figure 6): (w, m), ``rows`` times ``columns`` of them.

    m is evenly spread over the upper half of the grid; w lies at even shares, in ln w, of the way
    from the grid's left edge to the contour of ``level`` (both ends left out). Where the contour is
    not on the grid, its end stands for it.
    """
    points = []
    contour = np.clip(landscape.contour(level), landscape.w[0], landscape.w[-1])
    low, high = landscape.m[[0, -1]]
    for m in np.linspace((low + high) / 2, high, rows):
        left, right = np.log(landscape.w[0]), np.interp(m, landscape.m, np.log(contour))
        # A contour at the very edge leaves no way, and exp(ln w) may miss the edge by a rounding.
        ways = np.clip(
            np.exp(np.linspace(left, right, columns + 2)[1:-1]), landscape.w[0], landscape.w[-1]
        )
        points += [(float(w), float(m)) for w in ways]
    return points


# Where C of Figure 6 is: shares of the range of m, in the upper half.
SHARES_OF_C = (2 / 3, 5 / 6, 1.0)


def points_c(landscape: Landscape, level: float) -> list[Point]:
    """(w, m) of C of Figure 6, in region II at three m of the upper half of the grid.

    w lies half-way, in ln w, from the contour of ``level`` to the grid's right end. There is no C
    at an m where the contour is not reached; where it lies left of the grid, its end stands for it.
    """
    (first, last), (low, high) = landscape.w[[0, -1]], landscape.m[[0, -1]]
    contour = np.log(np.maximum(landscape.contour(level), first))
    points = []
    for share in SHARES_OF_C:
        m = float(low + share * (high - low))
        # Next to an infinite neighbour the interpolated contour is infinite or NaN.
        left = float(np.interp(m, landscape.m, contour))
        if math.isfinite(left):
            points.append((float(np.exp((left + np.log(last)) / 2)), m))
    return points


def box_around(landscape: Landscape, goal: Point, least: Point) -> Point:
    """Half widths of the box around ``goal``, in ln w and as a share of the range of m: ``least``,
    or the step of the grid there where that is wider."""
    u, m = np.log(landscape.w), landscape.m
    i, j = int(np.abs(u - np.log(goal[0])).argmin()), int(np.abs(m - goal[1]).argmin())
    steps = [np.diff(axis[max(at - 1, 0) : at + 2]).max() for axis, at in ((u, i), (m, j))]
    return max(least[0], float(steps[0])), max(least[1], float(steps[1] / np.ptp(m)))


def boundary_angle(landscape: Landscape, level: float, m_max: float | None = None) -> float:
    """theta in radians, in (0, pi): angle of the contour of ``level`` with the w axis, by least
    squares of ln w on m up to ``m_max``.

    pi / 2 is a boundary that does not depend on m; above it, one that leans the other way. NaN with
    fewer than two points on the grid.
    """
    contour = landscape.contour(level)
    used = (
        np.isfinite(contour) & (contour > 0) & (landscape.m <= (np.inf if m_max is None else m_max))
    )
    if used.sum() < 2:
        return np.nan
    return float(np.arctan2(1, np.polyfit(landscape.m[used], np.log(contour[used]), 1)[0]))


def boundary_angle_between(landscape: Landscape, level: float) -> Point:
    """(smallest, largest) ``boundary_angle`` that the grid allows: the contour of each m lies
    between two of its points. NaN with fewer than two contours on the grid."""
    every = landscape.boundary(level)
    kept = np.array([each.low > 0 and math.isfinite(each.high) for each in every])
    if kept.sum() < 2:
        return math.nan, math.nan
    m = landscape.m[kept] - landscape.m[kept].mean()
    ends = np.log(
        [[each.low, each.high] for each, on_grid in zip(every, kept, strict=True) if on_grid]
    )
    # The slope of ln w on m is a sum of the contours, each with a weight of its own sign.
    weights = m / (m @ m)
    steepest, flattest = (
        float(np.where(weights > 0, ends[:, a], ends[:, 1 - a]) @ weights) for a in (1, 0)
    )
    return math.atan2(1, steepest), math.atan2(1, flattest)


def formula_time(
    start: Point, goal: Point, theta: float, dynamics: Dynamics, tilt: float = 1.0
) -> float:
    """t = (L + h tan theta) / (eta_d gamma) from ``start`` in region II to ``goal``, both (w, m)
    (Section 5.1).

    ``tilt`` = eta_d / (eta_r w^2), w on the boundary, makes it the time that Eq. 6 itself gives
    (metric "w"): there the force across the boundary moves ln w that much more than m, and t = (L +
    tilt h tan theta) / (eta_d gamma). In the metric "ln w" the tilt is eta_d / eta_r, the paper's 1
    for equal rates.
    """
    length, height = np.log(start[0] / goal[0]), start[1] - goal[1]
    return float((length + tilt * height * np.tan(theta)) / (dynamics.eta_d * dynamics.gamma))


def _legs(curve: Array, least: float) -> list[int]:
    """Directions (1 up, -1 down, by turns) of the stretches in which a curve moves by at least
    ``least``.

    Ties and dust, of which a path that has come to rest is full, make no leg; as minima of equal
    depth they would all be prominent.
    """
    legs: list[int] = []
    low = high = curve[0]
    for value in curve:
        low, high = min(low, value), max(high, value)
        direction = legs[-1] if legs else 0
        if direction != 1 and value - low >= least:
            legs.append(1)
            high = value
        elif direction != -1 and high - value >= least:
            legs.append(-1)
            low = value
    return legs


def count_descents(losses: ArrayLike, prominence: float = 0.1) -> int:
    """How many times a curve comes down by at least that share of its range, having risen as much
    in between (Figure 6c).
    """
    curve = np.asarray(losses, dtype=float)
    span = np.ptp(curve)
    return 0 if span == 0 else _legs(curve, prominence * span).count(-1)


def count_humps(w: ArrayLike, prominence: float = 0.1) -> int:
    """How many interior maxima a curve has, rises and falls by at least that share of its range; 1
    is "rises, then falls".
    """
    curve = np.asarray(w, dtype=float)
    span = np.ptp(curve)
    return 0 if span == 0 else _legs(curve, prominence * span)[1:].count(-1)
