"""What the paper tier would take on a card that is not at hand: by figure, next to its floor, with
the reason for the gap.

``python -m omnigrok.forecast.cards claims`` prints the tables of docs/scale.md. Rates, bandwidths
and launch times are assumptions of this file; kernels a step were counted on the simulated card
(tests/simulated_cuda), uncompiled.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omnigrok.execution.plan import StackPlan, can_be_built, make_plan
from omnigrok.forecast.forecast import evaluation_count
from omnigrok.forecast.measure import evaluated
from omnigrok.forecast.schedule import schedule
from omnigrok.run import Run
from omnigrok.suite.suite import Setting, Suite, load_suite
from omnigrok.training.calendar import effective_batch
from omnigrok.training.stackable import shape_key
from omnigrok.training.work import COPIES, evaluation_operations, step_operations, work_of

# Seconds from one kernel of a replayed graph to the next, and of one that the host launches.
REPLAYED, LAUNCHED = 2.5e-6, 8e-6
# Share of a card's best matrix rate that batched products of the sizes here reach.
REACHED = 0.5
# Kernels of a captured step by model; of an LSTM for each token, too.
KERNELS = {
    "mlp": 65,
    "messy_mlp": 78,
    "decoder": 58,
    "transformer": 194,
    "nnconv": 153,
    "graph_conv": 111,
}
LSTM_KERNELS, LSTM_KERNELS_PER_TOKEN = 100, 30
OTHER_KERNELS = 150
# Seconds before the first step of a stack: data, initialization, capture, compilation.
START = 10.0
FORWARD = 3.0  # a step is a forward pass and a backward one of twice its work


@dataclass(frozen=True)
class GraphicsCard:
    """What a maker states, rounded to what libraries reach.

    Args:
        rates: operations a second of large matrix products, by precision.
        bandwidth: bytes a second.
        memory: bytes.
    """

    name: str
    rates: Mapping[str, float]
    bandwidth: float
    memory: float


CARDS = {
    card.name: card
    for card in (
        GraphicsCard("H200", {"float64": 45e12, "float32": 40e12, "tf32": 350e12}, 4.3e12, 141e9),
        GraphicsCard("H100", {"float64": 45e12, "float32": 40e12, "tf32": 350e12}, 3.0e12, 80e9),
    )
}


@dataclass(frozen=True)
class StackCost:
    """Seconds of one stack.

    Args:
        floor: all matrix products at the card's best rate.
        products: the same at the rate that is reached.
        memory: of moving weights, moments and activations.
        launches: of starting kernels.
        seconds: the longest of those three for each step and evaluation, and the start.
    """

    floor: float
    products: float
    memory: float
    launches: float
    seconds: float


def kernels(run: Run) -> int:
    """Kernels of one captured step."""
    if run.model == "lstm":
        return LSTM_KERNELS + LSTM_KERNELS_PER_TOKEN * int(run.option("length", 500))
    return KERNELS.get(run.model, OTHER_KERNELS)


def cost_of(stack: StackPlan, card: GraphicsCard) -> StackCost:
    """What a stack takes: all its networks go to the last step of the longest."""
    form, size = stack.runs[0], len(stack.runs)
    steps = max(run.steps for run in stack.runs)
    rate, width = card.rates[form.precision], 8 if form.precision == "float64" else 4
    work = work_of(shape_key(form), "cuda")
    test = int(form.option("n_test", form.n_train))
    batch = max(effective_batch(run) for run in stack.runs)
    samples = max(evaluated(run, test) for run in stack.runs)
    evaluations = max(evaluation_count(run) for run in stack.runs)

    operations = size * step_operations(form, "cuda")
    step = (
        operations / (REACHED * rate),
        size * width * (COPIES * work.parameters + 2 * work.floats * batch) / card.bandwidth,
        kernels(form) * REPLAYED,
    )
    of_evaluation = size * evaluation_operations(form, samples, "cuda")
    evaluation = (
        of_evaluation / (REACHED * rate),
        size * width * work.floats * samples / card.bandwidth,
        kernels(form) / FORWARD * LAUNCHED,
    )
    products, memory, launches = (
        steps * one + evaluations * other for one, other in zip(step, evaluation, strict=True)
    )
    return StackCost(
        (steps * operations + evaluations * of_evaluation) / rate,
        products,
        memory,
        launches,
        steps * max(step) + evaluations * max(evaluation) + START,
    )


REASONS = {
    "products": "small products reach half of the rate",
    "memory": "weights and activations go through memory",
    "launches": "steps are shorter than their launches",
}


def reason(costs: Sequence[StackCost]) -> str:
    """What most of the seconds go into."""
    totals = {name: sum(getattr(each, name) for each in costs) for name in REASONS}
    totals["start"] = START * len(costs)
    name = max(totals, key=lambda each: totals[each])
    return {**REASONS, "start": "data, capture and compilation before the first step"}[name]


def needed(suite: Suite, protocol: str) -> dict[str, set[Run]]:
    """The Runs of the paper tier by figure."""
    found: dict[str, set[Run]] = {}
    for figure in suite.figures:
        for name in figure.experiments:
            full_name = f"{figure.figure}:{name}"
            if protocol in suite.protocols_of(full_name):
                runs = suite.runs(full_name, Setting("paper", protocol))
                known = (run for run in runs if can_be_built(run))
                found.setdefault(figure.figure, set()).update(known)
    return found


def stacks_of(runs: Iterable[Run], card: GraphicsCard, cards: int = 1) -> list[StackPlan]:
    """As an audit on such cards would plan them."""
    return make_plan(sorted(runs, key=lambda run: run.digest), "cuda", 0.8 * card.memory, cards)


def by_figure(figures: Mapping[str, set[Run]], card: GraphicsCard) -> Iterator[str]:
    """A Markdown table."""
    yield "| figure | networks | stacks | longest stack | expected | floor | most of it goes into |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    everything: list[StackCost] = []
    for figure, runs in figures.items():
        costs = [cost_of(stack, card) for stack in stacks_of(runs, card)]
        everything += costs
        yield _line(figure, len(runs), costs)
    yield _line("all", len(set().union(*figures.values())), everything)


def _line(name: str, networks: int, costs: Sequence[StackCost]) -> str:
    total = math.fsum(each.seconds for each in costs)
    floor = math.fsum(each.floor for each in costs)
    longest = max((each.seconds for each in costs), default=0.0)
    return (
        f"| {name} | {networks:,} | {len(costs)} | {longest / 60:.1f} min | {total / 60:.1f} min | "
        f"{floor / 60:.1f} min | {reason(costs)} |"
    )


def by_cards(
    figures: Mapping[str, set[Run]], card: GraphicsCard, counts: Sequence[int]
) -> Iterator[str]:
    """A Markdown table of the schedule on several cards, planned for each number of them."""
    yield "| cards | stacks | driver busy | whole audit | longest stack | cards busy |"
    yield "|---:|---:|---:|---:|---:|---:|"
    runs = set().union(*figures.values())
    for count in counts:
        plan = stacks_of(runs, card, count)
        costs = [(cost_of(stack, card).seconds, len(stack.runs)) for stack in plan]
        found = schedule(costs, count)
        yield (
            f"| {count:,} | {len(costs)} | {found.driver:.1%} | {found.seconds / 60:.1f} min | "
            f"{found.longest / 60:.1f} min | {found.busy:.0%} |"
        )


def main(folder: Path, protocol: str = "paper") -> None:
    """Print the tables."""
    figures = needed(load_suite(folder), protocol)
    for card in CARDS.values():
        print(f"\n{card.name}, protocol {protocol}:\n")
        print("\n".join(by_figure(figures, card)))
    card = CARDS["H200"]
    print(f"\n{card.name}, several:\n")
    print("\n".join(by_cards(figures, card, (1, 10, 100, 1000))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
