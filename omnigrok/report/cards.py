"""What a page says of one claim, and of one figure's claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import quote

from omnigrok.audit.deviation import Deviation, find_deviation
from omnigrok.audit.document import Audit, FindingPart, Row
from omnigrok.report.commands import rerun_command
from omnigrok.report.forest import Line, leading, lines
from omnigrok.report.frames import as_csv, finding_record
from omnigrok.report.panels import Drawn, Panel, named_panels
from omnigrok.report.reason import reason
from omnigrok.report.specification import Specification, specification
from omnigrok.report.view import effect_text
from omnigrok.suite.schema import Claim, Figure
from omnigrok.suite.suite import Suite

MOST_PANELS = 3  # of a claim whose place names none


@dataclass(frozen=True)
class ProtocolView:
    """One claim under one protocol.

    Args:
        why: the verdict's reason in one sentence.
        rerun: the command that judges it again.
    """

    row: Row
    why: str
    deviation: Deviation | None
    specification: Specification | None
    rerun: str

    @property
    def judged(self) -> bool:
        return self.row.verdict != "NOT RUN"

    @property
    def main(self) -> FindingPart | None:
        """The finding that decided."""
        return self.row.deciding()

    @property
    def findings(self) -> list[tuple[FindingPart, str]]:
        """All findings with their effects; those that decide come first."""
        ranked = sorted(self.row.findings, key=lambda each: not (each.decides or each.premise))
        return [(finding, effect_text(finding)) for finding in ranked]

    @property
    def n(self) -> int:
        """Seeds behind the deciding findings."""
        return max((each.n for each in self.row.findings if each.decides), default=0)

    @property
    def censored(self) -> int:
        """Times that were not reached, of the deciding finding with most of them; sensitivity rows
        have their own.
        """
        return max((each.censored for each in self.row.findings if each.decides), default=0)


@dataclass(frozen=True)
class Shown:
    """A panel in a card.

    Args:
        drawings: by protocol.
        anchored: whether links to the panel lead here: once, in the section of its figure.
        open: whether it is shown at once.
    """

    name: str
    drawings: Mapping[str, Drawn]
    anchored: bool = True
    open: bool = True


@dataclass(frozen=True)
class Card:
    """One claim.

    Args:
        protocols: those that the audit has it under.
        entry: its YAML entry; None if the claims folder lacks it (an audit of another folder).
        lines: all findings that decide, one a line, with a mark for each protocol.
        panels: names of the figure panels that the claim is about.
        figures: those of them that are drawn.
    """

    id: str
    statement: str
    place: str
    reported: str
    headline: bool
    protocols: tuple[ProtocolView, ...]
    entry: Claim | None
    lines: tuple[Line, ...]
    panels: tuple[str, ...]
    figures: tuple[Shown, ...] = ()

    @property
    def first(self) -> ProtocolView:
        """The first protocol with a verdict, else the first."""
        return next((view for view in self.protocols if view.judged), self.protocols[0])

    @property
    def judged(self) -> bool:
        """Whether there is a verdict under any protocol."""
        return any(view.judged for view in self.protocols)

    @cached_property
    def leads(self) -> tuple[Line, ...]:
        """The lines on which the verdicts rest."""
        return leading([view.row for view in self.protocols], self.lines)

    @property
    def entries(self) -> str:
        """For the page's filters: protocol, verdict and scale of each row."""
        return " ".join(
            f"{view.row.protocol}|{view.row.verdict.replace(' ', '-')}|{view.row.scale}"
            for view in self.protocols
        )

    @property
    def criteria(self) -> dict[str, str]:
        """The regions and numbers of the criterion, in words."""
        if self.entry is None:
            return {}
        return {
            name: f"{bound:g}" if isinstance(bound, float) else str(bound.region())
            for name, bound in self.entry.criterion.items()
        }

    @cached_property
    def csv(self) -> str:
        """A link to a table of all its findings, one row each; "" without any."""
        records = [
            finding_record(view.row, role, finding)
            for view in self.protocols
            for role, found in (
                ("claim", view.row.findings),
                ("control", view.row.control.findings),
            )
            for finding in found
        ]
        return f"data:text/csv;charset=utf-8,{quote(as_csv(records))}" if records else ""


@dataclass(frozen=True)
class Section:
    """The claims of one figure file, with the figures that are drawn from their runs.

    Args:
        name: the figure file's; ``slug`` is that in addresses.
        others: drawn, but of no card.
        missing: what is not drawn.
    """

    name: str
    slug: str
    title: str
    place: str
    choices: str
    cards: tuple[Card, ...]
    others: tuple[Shown, ...]
    missing: tuple[Drawn, ...]

    @property
    def judged(self) -> tuple[Card, ...]:
        return tuple(card for card in self.cards if card.judged)

    @property
    def absent(self) -> tuple[Card, ...]:
        """Claims without evidence."""
        return tuple(card for card in self.cards if not card.judged)

    @property
    def drawings(self) -> tuple[Drawn, ...]:
        """All that this section shows, once each."""
        shown = [*(each for card in self.cards for each in card.figures), *self.others]
        found = {drawn.anchor: drawn for each in shown for drawn in each.drawings.values()}
        return tuple(found.values())


def cards_of(audit: Audit, suite: Suite, panels: Sequence[Panel]) -> dict[str, list[Card]]:
    """The cards by figure file, in the order of the suite; claims that it lacks come last.

    Raises:
        BadInput: a figure file or the list of deviations is not valid.
    """
    known = {claim.id: (figure, claim) for figure in suite.figures for claim in figure.claims}
    order = {name: place for place, name in enumerate(known)}
    by_claim: dict[str, list[Row]] = {}
    for row in audit.claims:
        by_claim.setdefault(row.id, []).append(row)
    cards: dict[str, list[Card]] = {}
    for name in sorted(by_claim, key=lambda each: order.get(each, len(order))):
        figure, entry = known.get(name, (None, None))
        rows = sorted(by_claim[name], key=lambda each: audit.rank(each.protocol))
        home = figure.figure if figure else rows[0].figure
        cards.setdefault(home, []).append(_card(rows, audit, suite, figure, entry, panels))
    return cards


def _card(
    rows: Sequence[Row],
    audit: Audit,
    suite: Suite,
    figure: Figure | None,
    entry: Claim | None,
    panels: Sequence[Panel],
) -> Card:
    home = figure.figure if figure else rows[0].figure
    views = tuple(
        ProtocolView(
            row,
            reason(row),
            find_deviation(suite.folder, row.id, row.tier, row.protocol, entry.version)
            if entry
            else None,
            specification(row, entry),
            rerun_command(suite, home, row, audit.device == "replay"),
        )
        for row in rows
    )
    place = rows[0].place or (entry.place if entry else "")
    return Card(
        rows[0].id,
        rows[0].statement or (entry.statement if entry else ""),
        place,
        rows[0].reported or (entry.reported if entry else ""),
        any(row.headline for row in rows),
        views,
        entry,
        lines(rows),
        tuple(_panels(place, suite, figure, entry, panels)),
    )


def _panels(
    place: str,
    suite: Suite,
    figure: Figure | None,
    entry: Claim | None,
    panels: Sequence[Panel],
) -> list[str]:
    """The panels that a claim's place names; where it names none, the few that are drawn from the
    experiments that its check reads.
    """
    named = named_panels(place, [panel.name for panel in panels])
    if named or figure is None or entry is None:
        return named
    read = set(suite.experiments(figure, entry).values())
    found = [panel.name for panel in panels if read.intersection(panel.experiments)]
    return found if len(found) <= MOST_PANELS else []


def with_figures(
    home: str,
    cards: Sequence[Card],
    drawn: Mapping[str, Mapping[str, Drawn]],
    seen: set[str],
) -> tuple[Card, ...]:
    """The cards with what is drawn of their panels.

    Args:
        home: figure file of the cards.
        drawn: by panel and protocol.
        seen: panels that the section shows already; those of these cards are added.
    """
    found = []
    for card in cards:
        names = [name for name in card.panels if name in drawn] if card.judged else []
        shown = tuple(
            Shown(
                name,
                drawn[name],
                anchored=name not in seen
                and all(each.panel.figure == home for each in drawn[name].values()),
                open=name not in seen or len(names) == 1,
            )
            for name in names
        )
        seen.update(names)
        found.append(replace(card, figures=shown))
    return tuple(found)
