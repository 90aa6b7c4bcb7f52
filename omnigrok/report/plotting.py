"""The panels of one claim as files of their own."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omnigrok.errors import BadInput
from omnigrok.files import replacing
from omnigrok.report.drawing.canvas import settings
from omnigrok.report.panels import Draft, Panel, draft, named_panels, panels_of
from omnigrok.report.recorded import Recorded
from omnigrok.suite.schema import Claim, Figure, Protocol
from omnigrok.suite.suite import Suite

FORMATS = (".svg", ".png", ".pdf")
DOTS = 200  # an inch, of a PNG
LETTERS_AN_INCH = 13  # of a title


@dataclass(frozen=True)
class Plotted:
    """A panel under one protocol: the file, or why there is none."""

    panel: Panel
    path: Path | None
    missing: str = ""


def panels_of_claim(suite: Suite, figure: Figure, claim: Claim) -> list[Panel]:
    """The panels that a claim's place names; if it names none, those that are drawn from the
    experiments which it reads.

    Raises:
        BadInput: the suite's hook is not in order.
    """
    panels = {panel.name: panel for panel in panels_of(suite)}
    names = named_panels(claim.place, panels)
    if not names:
        read = set(suite.experiments(figure, claim).values())
        names = [name for name, panel in panels.items() if read & set(panel.experiments)]
    return [panels[name] for name in names]


def write_panels(
    panels: list[Panel], protocol: Protocol, source: Recorded, target: Path
) -> Iterator[Plotted]:
    """Draw each panel into a file, whole or not at all: ``target`` for one, and ``target`` with the
    panel's name before the ending for several.

    Raises:
        BadInput: the ending is not one of ``FORMATS``, or matplotlib is missing.
        OmnigrokError: evidence, store or figure file are not in order.
    """
    if target.suffix.lower() not in FORMATS:
        raise BadInput(f"{target}: the name must end in {', '.join(FORMATS)}")
    for panel in panels:
        path = (
            target
            if len(panels) == 1
            else target.with_name(f"{target.stem}-{panel.name}{target.suffix}")
        )
        with settings():
            made = draft(panel, protocol, source)
            if isinstance(made, str):
                yield Plotted(panel, None, made)
            else:
                _write(panel, protocol, made, path)
                yield Plotted(panel, path)


def _write(panel: Panel, protocol: Protocol, made: Draft, path: Path) -> None:
    figure = made.canvas.figure
    title = f"{panel.name}: {panel.title} ({protocol})"
    columns = int(LETTERS_AN_INCH * figure.get_figwidth())
    figure.suptitle("\n".join(textwrap.wrap(title, columns)), fontsize="medium")
    try:
        with replacing(path) as file:
            figure.savefig(file, format=path.suffix[1:].lower(), dpi=DOTS)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror or error}") from error
