"""The audit as HTML: one file with everything in it, or an index and a page for each figure."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnigrok.audit.document import Audit
from omnigrok.errors import BadInput, StoreError
from omnigrok.files import write_whole
from omnigrok.report import panels, view
from omnigrok.report.commands import record_command
from omnigrok.report.drawing.canvas import require_matplotlib
from omnigrok.report.overview import FINDINGS, Page, build, told
from omnigrok.report.panels import Drawn, Panel, panels_of
from omnigrok.report.recorded import Recorded
from omnigrok.report.specification import LABELS, WIDTH
from omnigrok.store.store import Store
from omnigrok.suite.schema import Protocol
from omnigrok.suite.suite import Suite, load_suite

if TYPE_CHECKING:
    from jinja2 import Environment

INDEX = "index.html"


def environment() -> Environment:
    """Templates that escape everything that they are given.

    Raises:
        BadInput: jinja2 is missing.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise BadInput('the HTML report needs jinja2: pip install "omnigrok[report]"') from error
    found = Environment(
        loader=PackageLoader("omnigrok.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["number"] = view.number
    found.filters["duration"] = view.duration
    found.globals.update(
        marks=view.MARKS, controls=view.CONTROLS, verdicts=view.VERDICTS, terms=view.TERMS
    )
    return found


def look(templates: Environment, protocols: tuple[str, ...]) -> dict[str, Any]:
    """Style and script for the head of a page, with the digest that its policy allows."""
    from markupsafe import Markup  # noqa: PLC0415 (comes with jinja2, optional)

    style = templates.get_template("style.css.j2").render(protocols=protocols)
    script = templates.get_template("page.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "style": Markup(style),  # noqa: S704 (this package's own)
        "script": Markup(script),  # noqa: S704
        "script_hash": f"sha256-{digest}",
    }


def render(audit: Audit, suite: Suite, drawn: list[Drawn], seconds: dict[str, float]) -> str:
    """The whole audit as one page.

    Raises:
        BadInput: jinja2 is missing, or the claims folder is not valid.
    """
    templates = environment()
    page = build(audit, suite, drawn, seconds)
    return _rendered(templates, page, "index.html.j2", None)


def render_site(
    audit: Audit, suite: Suite, drawn: list[Drawn], seconds: dict[str, float]
) -> dict[str, str]:
    """File name to text: an index, and a page for each figure.

    Raises:
        BadInput: jinja2 is missing, or the claims folder is not valid.
    """
    templates = environment()
    page = build(audit, suite, drawn, seconds)
    site = {INDEX: _rendered(templates, page, "index.html.j2", "")}
    for section in page.sections:
        site[f"{section.slug}.html"] = _rendered(
            templates, page, "figure.html.j2", section.slug, section=section
        )
    return site


def _rendered(templates: Environment, page: Page, name: str, here: str | None, **more: Any) -> str:
    """One page; ``here`` is the slug of its figure, "" for the index of a site, and None for a page
    that holds everything.
    """

    def section_address(slug: str) -> str:
        return f"#section-{slug}" if here in (None, slug) else f"{slug}.html"

    def address(claim: str) -> str:
        slug = page.homes[claim]
        return f"#{claim}" if here in (None, slug) else f"{slug}.html#{claim}"

    return templates.get_template(name).render(
        page=page,
        protocols=page.protocols,
        homes=page.homes,
        single=here is None,
        here=here,
        told=told(page, address),
        open_findings=FINDINGS,
        address=address,
        section_address=section_address,
        record_command=record_command,
        left=LABELS,
        wide=WIDTH,
        **look(templates, page.protocols),
        **more,
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
                for panel, protocols in _wanted(audit, suite)
                for protocol in protocols
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
        drawn = [
            each
            for panel, protocols in _wanted(audit, suite)
            for each in panels.draw_all(panel, protocols, source, audit.claims)
        ]
        return drawn, source.seconds
    finally:
        if opened is not None:
            opened.close()


def _wanted(audit: Audit, suite: Suite) -> list[tuple[Panel, list[Protocol]]]:
    """The panels of the figures that were judged, with the protocols in which a claim reads their
    curves.
    """
    judged = {(row.figure, row.protocol) for row in audit.claims}
    return [
        (
            panel,
            [
                protocol
                for protocol in suite.protocols_of(panel.experiments[0])
                if (panel.figure, protocol) in judged
            ],
        )
        for panel in panels_of(suite)
        if panel.figure in suite.names
    ]


def _prepared(
    audit: Audit, folder: Path, store: Path | None
) -> tuple[Audit, Suite, list[Drawn], dict[str, float]]:
    """The arguments of ``render``; what is not installed is said before anything is drawn."""
    environment()
    require_matplotlib()
    suite = load_suite(folder)
    return (audit, suite, *draw_all(audit, suite, store))


def write_page(path: Path, audit: Audit, folder: Path, store: Path | None) -> None:
    """Write the page whole or not at all.

    Raises:
        BadInput: jinja2 or matplotlib is missing, the claims folder is not valid, or the path
            cannot be written.
    """
    write_whole(path, render(*_prepared(audit, folder, store)))


def write_site(
    target: Path, audit: Audit, folder: Path, store: Path | None, single: bool = False
) -> Path:
    """Write an index and a page for each figure into a folder, which is made.

    Args:
        single: the index holds everything, and is the only page.

    Returns:
        The index.

    Raises:
        BadInput: as ``write_page``.
    """
    prepared = _prepared(audit, folder, store)
    site = {INDEX: render(*prepared)} if single else render_site(*prepared)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{target}: cannot be made: {error.strerror or error}") from error
    # The index last: it links to the others.
    for name in sorted(site, key=lambda each: each == INDEX):
        write_whole(target / name, site[name])
    return target / INDEX
