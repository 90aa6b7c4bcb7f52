"""The README's figure: the paper's main claim, drawn from the recorded evidence, and its verdicts.

    python -m omnigrok.paper.main_claim AUDIT.json docs/main-claim.svg

AUDIT.json is what ``omnigrok report --replay --json`` prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from omnigrok.audit.document import Audit, Row, load_audit
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import time_of
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.files import write_whole
from omnigrok.report.drawing.canvas import INK, TEST, TRAIN, Canvas, label_values, settings
from omnigrok.report.drawing.reading import Reading
from omnigrok.report.recorded import Recorded
from omnigrok.report.view import effect_text
from omnigrok.suite.installed import default_folder
from omnigrok.suite.suite import Suite, load_suite

PROTOCOL = "paper"
FIGURE = "fig02_teacher_student"
ALPHA, WEIGHT_DECAY = 2.0, 0.03  # of the setting that groks (Figure 2b)
SIZE = (3.1, 2.9)  # inches of one panel
DECIDES = "upper half"  # the finding that refutes fig02.inverse
UPPER = "in the upper half of the range:\nexponent"
# Text takes the colour of the reader's page.
COLOURS = "<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"


def main_claim(audit: Audit, suite: Suite) -> str:
    """Three panels as one SVG: the L and the U of the landscape, an accuracy that arrives late,
    and the time it takes against weight decay.

    Raises:
        BadInput: the audit lacks one of the four claims, another finding decides it than the panel
            names, or the audit is of another tier.
        NotRecorded: the evidence lacks a run.
    """
    if audit.tier != "paper":
        raise BadInput("the figure shows the paper tier, and this audit is of the smoke tier")
    reduced = frozenset(
        (row.figure, row.protocol) for row in audit.claims if row.scale == "reduced"
    )
    source = Recorded(suite, "paper", reduced=reduced)
    landscape, large = (
        source.load(f"{FIGURE}:{name}", PROTOCOL).grid for name in ("landscape", "large")
    )
    with settings():
        canvas = Canvas(1, 3, SIZE)
        first, second, third = canvas.flat()
        _landscape(first, landscape)
        _accuracies(second, large)
        _times(third, large)
        verdicts = (
            "The training loss is an L, the test loss a U\n"
            f"{_verdict(audit, 'fig02.train-L', 'bend at α =')}\n"
            f"{_verdict(audit, 'fig02.test-U', 'bottom at α =')}",
            "From a large start it generalises late\n"
            f"{_verdict(audit, 'fig02.grok', 't_test / t_train =')}\n",
            f"Time is proportional to 1 / γ\n{_verdict(audit, 'fig02.inverse', UPPER, DECIDES)}",
        )
        for axes, text in zip(canvas.flat(), verdicts, strict=True):
            axes.set_title(text, loc="left", fontsize=7.5)
        canvas.legend(_handles())
        svg = canvas.svg("main-claim")
    opening, inner = svg.split(">", 1)
    return f"{opening}>{COLOURS}{inner}\n"


def _row(audit: Audit, claim: str) -> Row:
    for row in audit.claims:
        if (row.id, row.protocol) == (claim, PROTOCOL):
            return row
    raise BadInput(f"the audit has no claim {claim} under protocol {PROTOCOL}")


def _verdict(audit: Audit, claim: str, words: str, name: str = "") -> str:
    """The verdict and the finding that decided, in words for it.

    Raises:
        BadInput: another finding decided than the words are for; ``name`` is a part of its name.
    """
    row = _row(audit, claim)
    finding = row.deciding()
    if finding is None or name not in finding.name:
        raise BadInput(f"{claim} was not decided by {name or 'a finding'!r}: rewrite its sentence")
    scale = " ~" if row.scale == "reduced" else ""
    return f"{row.verdict}{scale}, {words} {effect_text(finding)}"


def _landscape(axes: Any, grid: Grid) -> None:
    for side, colour, line in (("train", TRAIN, "-"), ("test", TEST, "--")):
        alphas, table = Reading().along_alpha(grid, side, PROTOCOL)
        table = np.where(table > 0, table, np.nan)  # an exact 0 has no place on a log axis
        axes.plot(alphas, table.T, color=colour, linestyle=line, linewidth=0.6, alpha=0.3)
        axes.plot(alphas, np.nanmedian(table, axis=0), color=colour, linestyle=line, linewidth=1.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("initialization scale α")
    axes.set_ylabel("reduced loss")


def _accuracies(axes: Any, grid: Grid) -> None:
    for curves in grid.each(alpha=ALPHA, weight_decay=WEIGHT_DECAY):
        for side, colour, line in (("train", TRAIN, "-"), ("test", TEST, "--")):
            axes.plot(
                np.maximum(curves.step, 1),
                curves[f"{side}_acc"],
                color=colour,
                linestyle=line,
                linewidth=0.8,
                alpha=0.6,
            )
    axes.set_xscale("log")
    axes.set_xlabel(f"steps (α = {ALPHA:g}, weight decay {WEIGHT_DECAY:g})")
    axes.set_ylabel("accuracy")


def _times(axes: Any, grid: Grid) -> None:
    decays = [value for value in grid.axis("weight_decay") if value > 0]
    middle = []
    for decay in decays:
        times = [time_of(curves, "test_acc") for curves in grid.each(weight_decay=decay)]
        reached = [time.value for time in times if time.reached]
        axes.plot([decay] * len(reached), reached, "s", color=TEST, markersize=2.5, alpha=0.5)
        middle.append(np.median([time.value if time.reached else np.inf for time in times]))
    axes.plot(decays, middle, "--", color=TEST, linewidth=1.6)
    inverse = middle[0] * decays[0] / np.array(decays)
    axes.plot(decays, inverse, ":", color=INK, linewidth=1.2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    label_values(axes.xaxis, decays)
    axes.set_xlabel(f"weight decay γ (α = {ALPHA:g})")
    axes.set_ylabel("steps to 95 % test accuracy")


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D  # noqa: PLC0415 (optional)

    return [
        Line2D([], [], color=TRAIN, label="training set"),
        Line2D([], [], color=TEST, linestyle="--", label="test set"),
        Line2D([], [], color=INK, linestyle=":", label="1 / γ"),
    ]


@click.command()
@click.argument("audit", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--claims",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=default_folder,
    help="Folder with the figure files; default: claims/, or the one that is installed.",
)
def main(audit: Path, target: Path, folder: Path) -> None:
    """Draw the README's figure from the verdicts of AUDIT and the recorded evidence into TARGET."""
    try:
        write_whole(target, main_claim(load_audit(audit), load_suite(folder)))
    except OmnigrokError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
