"""Panels of a paper's figures, redrawn from recorded curves. Which there are, a suite says with the
hook ``panels`` of its ``audit.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from omnigrok.audit.grid import Grid
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.report.drawing.canvas import Canvas, settings
from omnigrok.report.drawing.dynamics import DynamicsCurves
from omnigrok.report.recorded import NotRecorded, Recorded
from omnigrok.suite.hooks import load_hook, named
from omnigrok.suite.schema import Protocol
from omnigrok.suite.suite import Suite

MOST_AXES = 2  # that a panel of curves tells apart

if TYPE_CHECKING:
    from markupsafe import Markup


class Drawing(Interface):
    """What every kind of drawing can do."""

    def draw(
        self, grids: Sequence[Grid], protocol: Protocol, quantity: Mapping[str, Any]
    ) -> Canvas:
        """Draw; ``quantity`` is that of the claim whose numbers (levels, paths) the panel shows."""
        ...

    def describe(self) -> str:
        """What is seen, for the alternative text."""
        ...


@dataclass(frozen=True)
class Panel:
    """One panel of a figure.

    Args:
        name: as in the paper, e.g. "2a".
        title: what the paper shows there.
        experiments: "figure:experiment" of every grid that is drawn.
        drawing: how.
        claim: whose ``quantity`` has levels or paths that the drawing needs.
        beside: grids that are drawn too where they are recorded.
    """

    name: str
    title: str
    experiments: tuple[str, ...]
    drawing: Drawing
    claim: str = ""
    beside: tuple[str, ...] = ()

    @property
    def figure(self) -> str:
        """The YAML file that records it."""
        return self.experiments[0].partition(":")[0]


@dataclass(frozen=True)
class Drawn:
    """One panel under one protocol.

    Args:
        svg: the drawing; "" where it is left out, and then ``missing`` says why.
        notes: reductions of scale, results of other versions.
    """

    panel: Panel
    protocol: Protocol
    svg: str = ""
    missing: str = ""
    notes: tuple[str, ...] = ()
    seeds: int = 0

    @property
    def anchor(self) -> str:
        """The id of the figure on the page."""
        return f"fig-{self.panel.name}-{self.protocol}"

    @property
    def label(self) -> str:
        """The alternative text."""
        return (
            f"Figure {self.panel.name}, protocol {self.protocol}: {self.panel.title}; "
            f"{self.panel.drawing.describe()}"
        )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the drawing in its own units (points)."""
        found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', self.svg)
        return (float(found[1]), float(found[2])) if found else (1.0, 1.0)

    @property
    def image(self) -> Markup:
        """The drawing for a page: its text was escaped when it was drawn."""
        from markupsafe import Markup  # noqa: PLC0415 (comes with jinja2, optional)

        opening = Markup('<svg id="{}-svg" role="img" aria-label="{}" ').format(
            self.anchor, self.label
        )
        return opening + Markup(self.svg.removeprefix("<svg "))  # noqa: S704 (drawn here, from numbers and this module's own titles)


def draw(panel: Panel, protocol: Protocol, source: Recorded) -> Drawn:
    """Redraw a panel, or say why it is left out: its curves are not recorded, or cannot be read."""
    try:
        loaded = [source.load(experiment, protocol) for experiment in panel.experiments]
        absent = []
        for experiment in panel.beside:
            try:
                loaded.append(source.load(experiment, protocol))
            except NotRecorded as reason:
                absent.append(str(reason))
        quantity: Mapping[str, Any] = {}
        if panel.claim:
            quantity = source.suite.figure(panel.figure).claim(panel.claim).quantity
        with settings():
            svg = panel.drawing.draw([each.grid for each in loaded], protocol, quantity).svg(
                f"{panel.name}-{protocol}"
            )
    except NotRecorded as reason:
        return Drawn(panel, protocol, missing=str(reason))
    except OmnigrokError as error:
        # A figure that cannot be drawn must not take the verdicts with it; the page says why it is
        # missing.
        return Drawn(panel, protocol, missing=f"cannot be drawn: {error}")
    stale = sum(each.stale for each in loaded)
    notes = [*dict.fromkeys(each.reduction for each in loaded if each.reduction), *absent]
    if stale:
        notes.append(
            f"{stale} runs come from another version of the trainer or of torch, or from another "
            "device"
        )
    return Drawn(
        panel, protocol, svg, notes=tuple(notes), seeds=min(len(each.grid.seeds) for each in loaded)
    )


def named_panels(place: str, known: Collection[str]) -> list[str]:
    """The panels that a claim's ``place`` names: "Figures 3a and 3b", "Figure 4a-c", "Figures 6a to
    c", "Figure 12".

    Args:
        known: names of the suite's panels.
    """
    names: list[str] = []
    for text in re.findall(r"Figures?\s+([^;]*)", place):
        number, last, joined = "", "", False
        for word in re.findall(r"\d+[a-f]?|\b[a-f]\b|-|–|\bto\b|\band\b|,|\S+", text):
            found = re.fullmatch(r"(\d+)?([a-f])?", word)
            if found is None:
                joined = word in ("-", "–", "to")
                if not joined and word not in ("and", ","):
                    break
                continue
            number, letter = found[1] or number, found[2] or ""
            if joined and letter and last:
                names += [f"{number}{chr(code)}" for code in range(ord(last) + 1, ord(letter))]
            names += (
                [f"{number}{letter}"]
                if letter
                else [name for name in known if re.fullmatch(rf"{number}[a-f]?", name)]
            )
            last, joined = letter, False
    return [name for name in dict.fromkeys(names) if name in known]


def _usual(suite: Suite) -> Iterator[Panel]:
    """One panel an experiment that is not a large grid: a curve for each setting."""
    for figure in suite.figures:
        for name, experiment in figure.experiments.items():
            axes = tuple(axis for axis in experiment.sweep if axis != "seed")
            if len(axes) <= MOST_AXES:
                title = experiment.about or f"{figure.title}: {name}"
                yield Panel(
                    f"{figure.figure}.{name}",
                    title,
                    (f"{figure.figure}:{name}",),
                    DynamicsCurves(axes or ("alpha",)),
                )


def panels_of(suite: Suite) -> tuple[Panel, ...]:
    """The panels that a suite's hook gives; without a hook, accuracy over training for each
    experiment.

    Raises:
        BadInput: the hook cannot be imported, or is no sequence of ``Panel``; a figure file is not
            valid.
    """
    found = load_hook(suite, "panels")
    if found is None:
        return tuple(_usual(suite))
    if not isinstance(found, list | tuple) or not all(isinstance(each, Panel) for each in found):
        raise BadInput(
            f"{named(suite, 'panels')}: must be a sequence of omnigrok.report.panels.Panel"
        )
    return tuple(found)
