"""Panels of a paper's figures, redrawn from recorded curves. Which there are, a suite says with the
hook ``panels`` of its ``audit.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from omnigrok.audit.document import Row
from omnigrok.audit.grid import Grid
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.report.drawing.canvas import Canvas, settings, share_axes
from omnigrok.report.drawing.dynamics import DynamicsCurves
from omnigrok.report.drawing.found import Findings
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
        self,
        grids: Sequence[Grid],
        protocol: Protocol,
        quantity: Mapping[str, Any],
        findings: Findings,
    ) -> Canvas:
        """Draw.

        Args:
            quantity: of the claim whose numbers (levels, paths) the panel shows.
            findings: by claim, under this protocol; {} where nothing was judged.
        """
        ...

    def describe(self) -> str:
        """What every such drawing shows, for caption and alternative text; what only some show
        goes into ``Canvas.said``.
        """
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
        optional: grids that are drawn too if they are recorded.
    """

    name: str
    title: str
    experiments: tuple[str, ...]
    drawing: Drawing
    claim: str = ""
    optional: tuple[str, ...] = ()

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
        said: what this drawing shows and others of its kind do not.
    """

    panel: Panel
    protocol: Protocol
    svg: str = ""
    missing: str = ""
    notes: tuple[str, ...] = ()
    seeds: int = 0
    said: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """The id of the figure on the page."""
        return f"fig-{self.panel.name}-{self.protocol}"

    @property
    def description(self) -> str:
        """What is seen."""
        return "; ".join([self.panel.drawing.describe(), *self.said])

    @property
    def label(self) -> str:
        """The alternative text."""
        return (
            f"Figure {self.panel.name}, protocol {self.protocol}: {self.panel.title}; "
            f"{self.description}"
        )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the drawing in its own units (points)."""
        found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', self.svg)
        return (float(found[1]), float(found[2])) if found else (1.0, 1.0)

    @property
    def symbol(self) -> Markup:
        """The drawing to be used by reference: its text was escaped when it was drawn."""
        from markupsafe import Markup  # noqa: PLC0415 (comes with jinja2, optional)

        opening = Markup('<symbol id="{}-svg" viewBox="0 0 {} {}">').format(self.anchor, *self.size)
        inner = self.svg[self.svg.index(">") + 1 : self.svg.rindex("</svg>")]
        # Drawn here, from numbers and this module's own titles.
        return opening + Markup(inner) + Markup("</symbol>")  # noqa: S704


@dataclass(frozen=True)
class Draft:
    """A drawing whose axes can still be shared with others."""

    canvas: Canvas
    notes: tuple[str, ...]
    seeds: int


def draw(panel: Panel, protocol: Protocol, source: Recorded, rows: Sequence[Row] = ()) -> Drawn:
    """``draw_all`` of one protocol."""
    return draw_all(panel, [protocol], source, rows)[0]


def draw_all(
    panel: Panel, protocols: Sequence[Protocol], source: Recorded, rows: Sequence[Row] = ()
) -> list[Drawn]:
    """Redraw a panel under some protocols, with the same axes, or say why it is left out: its
    curves are not recorded, or cannot be read.

    Args:
        rows: of the audit, whose findings are drawn in.
    """
    with settings():
        made = {protocol: draft(panel, protocol, source, rows) for protocol in protocols}
        share_axes([each.canvas for each in made.values() if isinstance(each, Draft)])
        return [_finished(panel, protocol, each) for protocol, each in made.items()]


def _finished(panel: Panel, protocol: Protocol, made: Draft | str) -> Drawn:
    if isinstance(made, str):
        return Drawn(panel, protocol, missing=made)
    try:
        svg = made.canvas.svg(f"{panel.name}-{protocol}")
    except Exception as error:
        return Drawn(panel, protocol, missing=_undrawn(error))
    said = tuple(made.canvas.said)
    return Drawn(panel, protocol, svg, notes=made.notes, seeds=made.seeds, said=said)


def _undrawn(error: Exception) -> str:
    """A figure that cannot be drawn must not take the verdicts with it: the page says why it is
    missing.
    """
    kind = "" if isinstance(error, OmnigrokError) else f"{type(error).__name__}: "
    return f"cannot be drawn: {kind}{error}"


def draft(
    panel: Panel, protocol: Protocol, source: Recorded, rows: Sequence[Row] = ()
) -> Draft | str:
    """The drawing, or why there is none; under ``canvas.settings``."""
    try:
        loaded = [source.load(experiment, protocol) for experiment in panel.experiments]
        absent = []
        for experiment in panel.optional:
            try:
                loaded.append(source.load(experiment, protocol))
            except NotRecorded as reason:
                absent.append(str(reason))
        quantity: Mapping[str, Any] = {}
        if panel.claim:
            quantity = source.suite.figure(panel.figure).claim(panel.claim).quantity
        findings = {row.id: row.findings for row in rows if row.protocol == protocol}
        canvas = panel.drawing.draw([each.grid for each in loaded], protocol, quantity, findings)
    except NotRecorded as reason:
        return str(reason)
    except Exception as error:
        return _undrawn(error)
    stale = sum(each.stale for each in loaded)
    notes = [*dict.fromkeys(each.reduction for each in loaded if each.reduction), *absent]
    if stale:
        notes.append(
            f"{stale} runs come from another version of the trainer or of torch, or from another "
            "device"
        )
    return Draft(canvas, tuple(notes), min(len(each.grid.seeds) for each in loaded))


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
