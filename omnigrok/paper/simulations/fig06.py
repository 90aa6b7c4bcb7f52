"""Figure 6: toy addition over weight norm and messiness, maps on which the paper's
sentences hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps
from omnigrok.paper import noise
from omnigrok.paper.simulations.fig08 import landscape as mnist
from omnigrok.run import Run

# The decoder's weight norm at alpha = 1; the YAML's levels; ln w of the generalising solution,
# which is a point of the grid (alpha = .9).
NORM, LEVEL, SIZE_LEVEL = 14.5, 0.05, 0.02
SOLUTION = math.log(0.9 * NORM)
STEP, SCALES = 0.45, 20
# Leans on the margins, by simulation of 200 seeds (in brackets the standard error): the formula is
# 1.251 (.0014) times the integrated time, and the exponent on eta_D at norms of 2 is -.899 (.0018).
LATE, SLOW = 1.93, 0.9
OTHER = "fig08_mnist_representation:landscape"


@dataclass(frozen=True)
class Map:
    """A training loss that falls steadily up to the boundary ln w = place + lean m and is
    exponentially small right of it.

    Args:
        lean: what messiness adds to ln w_c.
        beyond: ln w of the generalising solution, where weight decay balances the boundary, minus
            ``place``.
        norm: w at alpha = 1.
    """

    lean: float = 0.8
    place: float = SOLUTION - 0.216
    sharp: float = 16.0
    beyond: float = 0.216
    norm: float = NORM

    def beyond_boundary(self, u: float, m: float) -> float:
        return u - self.place - self.lean * m

    def train(self, u: float, m: float) -> float:
        return math.log1p(math.exp(-self.sharp * self.beyond_boundary(u, m))) / self.sharp

    def test(self, u: float, m: float) -> float:
        """Low about the generalising solution, which lies at m = 0."""
        return 0.01 + 2 * m + (u - self.place - self.beyond) ** 2


Losses = Callable[[Map, float, Run, Scatter], tuple[float, float]]


def free(found: Map, u: float, run: Run, scatter: Scatter) -> tuple[float, float]:
    """The losses of the map with scatter of their own."""
    train, test = (
        scatter.factor(noise.ADDITION_SEED_SD, side, run.seed) for side in ("train", "test")
    )
    train *= found.train(u, run.messiness) * scatter.factor(noise.ADDITION_CELL_SD)
    return train, found.test(u, run.messiness) * test * scatter.factor(noise.ADDITION_CELL_SD)


def permuted(found: Map, u: float, run: Run, scatter: Scatter) -> tuple[float, float]:
    """The same with each seed's columns of one w moved among the values of w."""
    place = scatter.order(SCALES, "w", run.seed)[round(run.alpha / STEP) - 1]
    return free(found, math.log(found.norm * STEP * (place + 1)), run, scatter)


def by_messiness(ratio: float) -> Losses:
    """In region II the test loss changes with m ``ratio`` times as much as the training loss; at
    small w they are one.
    """

    def losses(found: Map, u: float, run: Run, scatter: Scatter) -> tuple[float, float]:
        train = found.train(u, run.messiness) * scatter.factor(noise.ADDITION_CELL_SD)
        own = ratio * scatter.factor(noise.ADDITION_SEED_SD, "ratio", run.seed)
        return train, own * train if found.beyond_boundary(u, 1.0) > 0 else train

    return losses


def first_w_then_m(found: Map, u: float, run: Run, scatter: Scatter) -> tuple[float, float]:
    """Left of the boundary the training loss falls with w alone, so that at the network's own
    norms, too, w moves before m: it rises to the boundary, m falls, and weight decay brings w back.
    The test loss is higher again right of a messy boundary.
    """
    m, x = run.messiness, found.beyond_boundary(u, run.messiness)
    train = 0.9 * math.exp(-(u - math.log(found.norm * STEP)) - 20 * max(x, 0.0) ** 3)
    ridge = 2.0 * m / (1 + math.exp(-(x - 0.5) / 0.05))
    test = 0.05 + 1.5 * train + ridge + 0.3 * (u - found.place - found.beyond) ** 2
    return train * scatter.factor(noise.ADDITION_CELL_SD), test * scatter.factor(
        noise.ADDITION_CELL_SD
    )


def by_size(few: float, fewer: float, many: float = 0.03) -> Losses:
    """The contour of 45 and 55 pairs lies ``many`` from the generalising solution in ln w, that of
    35 ``few`` and of 25 ``fewer``.
    """

    def losses(found: Map, u: float, run: Run, scatter: Scatter) -> tuple[float, float]:
        away = {35: few, 25: fewer}.get(run.n_train, many) + 0.05 * scatter.shared(
            "contour", run.seed, run.n_train
        )
        train = SIZE_LEVEL * math.exp(-4 * (u - SOLUTION - away - found.lean * run.messiness))
        return train * scatter.factor(noise.ADDITION_CELL_SD), found.test(u, run.messiness)

    return losses


def made(
    of: Map, losses: Losses = free, place: float = 0.02, lean: float = 0.1, more: float = 0.0
) -> Maker:
    """Maps with each seed's own boundary.

    Args:
        place, lean: standard deviations of the boundary's place and lean over seeds.
        more: what the largest training set adds to the lean.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        own = replace(
            of,
            place=of.place + place * scatter.shared("place", run.seed),
            lean=of.lean
            + lean * scatter.shared("lean", run.seed, run.n_train)
            + (more if run.n_train > 45 else 0.0),
        )
        train, test = losses(own, math.log(own.norm * run.alpha), run, scatter)
        right = 1 - 0.03 * abs(scatter.own()) if run.messiness == 0 else 0.1
        return {
            "train_loss": train,
            "test_loss": test,
            "test_acc": right,
            "weight_norm": own.norm * run.alpha,
        }

    return maker


def resized(norm: float, lean: float) -> Map:
    """A map of networks of another norm."""
    return Map(lean=lean, norm=norm, place=Map.place + math.log(norm / NORM))


def only_addition(run: Run) -> bool:
    """The main landscape: no variant, which are sensitivity rows, and no other figure's."""
    return (
        run.task == "addition"
        and not run.option("unseen")
        and run.option("standardise", "none") == "none"
    )


def ends_of_m(run: Run) -> bool:
    """Its ends: all that is read between them is another spline."""
    return run.messiness in (0, 1)


def on_both(maker: Maker, name: str = "landscape") -> dict[str, Maker]:
    return {name: maker, "variants": maker}


plain, steep = made(Map()), made(Map(lean=2.3))
own_norm = made(Map(lean=1.0, place=math.log(12.0), beyond=0.5), first_w_then_m)
# With the 1 / w^2 the lean of the boundary hardly changes the time at the network's own norm.
data_faster = made(resized(2.0, 1.5), lean=0.05, more=0.4)
ENDS = ("landscape", "variants", "fine", "sizes", OTHER)

SIMULATIONS = {
    "fig06.regions": Simulation(
        on_both(plain),
        "a boundary that leans",
        null=on_both(made(Map(), permuted)),
        ends_only=ENDS,
        reads=only_addition,
    ),
    "fig06.test-depends-on-m": Simulation(
        {**on_both(made(Map(), by_messiness(100.0))), OTHER: mnist()},
        "a hundred times as much",
        null={**on_both(made(Map(), by_messiness(10.0))), OTHER: mnist()},
        ends_only=ENDS,
        reads=only_addition,
    ),
    "fig06.wc-order": Simulation(
        on_both(plain, "fine"),
        "w_c more than twice as large",
        flip=("messiness", 0.0, 1.0),
        ends_only=ENDS,
        reads=lambda run: only_addition(run) and ends_of_m(run),
    ),
    "fig06.path": Simulation(
        {"fine": own_norm, OTHER: mnist()},
        "two descents, at the network's own norms",
        ends_only=ENDS,
    ),
    "fig06.time": Simulation(
        {"fine": steep},
        "w_c larger by a factor 10, L long",
        null={"fine": made(Map(lean=LATE))},
        ends_only=ENDS,
    ),
    "fig06.time-eta": Simulation(
        {"fine": steep},
        "w_c larger by a factor 10, L long",
        null={"fine": made(resized(2.0, SLOW))},
        ends_only=ENDS,
    ),
    "fig06.data-size": Simulation(
        {"fine": plain, "sizes": made(Map(), by_size(0.5, 0.6))},
        "ln w of .5 and more away",
        null={"fine": plain, "sizes": made(Map(), by_size(0.15, 0.6))},
        ends_only=ENDS,
        reads=ends_of_m,
    ),
    "fig06.more-data-faster": Simulation(
        {"fine": data_faster, "sizes": data_faster},
        "55 pairs lean more, at norms 7 times smaller",
        flip=("n_train", 45, 55),
        ends_only=ENDS,
        reads=lambda run: run.n_train >= 45,
    ),
}
