"""The page: one HTML file with everything in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omnigrok.audit.document import Audit
from omnigrok.errors import BadInput, StoreError
from omnigrok.files import write_whole
from omnigrok.report import view
from omnigrok.report.drawing.canvas import require_matplotlib
from omnigrok.report.panels import Drawn, Panel, draw, panels_of
from omnigrok.report.recorded import Recorded
from omnigrok.store.store import Store
from omnigrok.suite.schema import Protocol
from omnigrok.suite.suite import Suite, load_suite

if TYPE_CHECKING:
    from jinja2 import Environment


def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise BadInput('the HTML report needs jinja2: pip install "omnigrok[report]"') from error
    return Environment(
        loader=PackageLoader("omnigrok.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(audit: Audit, suite: Suite, drawn: list[Drawn], seconds: dict[str, float]) -> str:
    """The page as text.

    Raises:
        BadInput: jinja2 is missing, or the claims folder is not valid.
    """
    environment = _environment()
    page = view.build(audit, suite, drawn, seconds)
    environment.filters["number"] = view.number
    environment.filters["duration"] = view.duration
    return environment.get_template("page.html.j2").render(
        page=page,
        marks=view.MARKS,
        controls=view.CONTROLS,
        verdicts=view.VERDICTS,
        folder=suite.folder,
        view=view,
    )


def draw_all(
    audit: Audit, suite: Suite, store: Path | None
) -> tuple[list[Drawn], dict[str, float]]:
    """Redraw every panel under every protocol of the audit; the second part is seconds of training
    by run.

    Args:
        store: of the runs; None, or an audit that was replayed, reads the recorded evidence.
    """
    opened = None
    if audit.device != "replay" and store is not None and store.is_file():
        try:
            opened = Store(store, readonly=True)
        except StoreError as error:
            # A store that cannot be read leaves the figures out, each with this reason; the
            # verdicts are in the audit.
            return [
                Drawn(panel, protocol, missing=str(error))
                for panel, protocol in _wanted(audit, suite)
            ], {}
    try:
        source = Recorded(
            suite,
            audit.tier,
            opened,
            audit.versions.get("torch", ""),
            audit.device,
            audit.first_seed,
            frozenset((row.figure, row.protocol) for row in audit.claims if row.scale == "reduced"),
        )
        return [
            draw(panel, protocol, source) for panel, protocol in _wanted(audit, suite)
        ], source.seconds
    finally:
        if opened is not None:
            opened.close()


def _wanted(audit: Audit, suite: Suite) -> list[tuple[Panel, Protocol]]:
    """The panels of the figures that were judged, under the protocols in which a claim reads their
    curves.
    """
    judged = {(row.figure, row.protocol) for row in audit.claims}
    return [
        (panel, protocol)
        for panel in panels_of(suite)
        if panel.figure in suite.names
        for protocol in suite.protocols_of(panel.experiments[0])
        if (panel.figure, protocol) in judged
    ]


def write_page(path: Path, audit: Audit, folder: Path, store: Path | None) -> None:
    """Write the page whole or not at all.

    Raises:
        BadInput: jinja2 or matplotlib is missing, the claims folder is not valid, or the path
            cannot be written.
    """
    _environment()
    require_matplotlib()
    suite = load_suite(folder)
    drawn, seconds = draw_all(audit, suite, store)
    write_whole(path, render(audit, suite, drawn, seconds))
