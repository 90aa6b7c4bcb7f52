"""What the page says: a summary, and a card a claim with all protocols side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omnigrok.audit.decided import sentence
from omnigrok.audit.deviation import Deviation, find_deviation
from omnigrok.audit.document import Audit, FindingPart, Row
from omnigrok.report.panels import Drawn, named_panels, panels_of
from omnigrok.report.scale import EffectScale, effect_scale
from omnigrok.suite.schema import Claim, Figure, Tier, item_name
from omnigrok.suite.suite import Suite, load_suite

VERDICTS = ("REPRODUCED", "REFUTED", "INCONCLUSIVE", "ERROR", "NOT RUN")
# What a control's verdict means: where the sentence is false its check must refute it.
CONTROLS = {
    "REFUTED": "holds",
    "INCONCLUSIVE": "weak",
    "REPRODUCED": "broken",
    "ERROR": "error",
    "NOT RUN": "not run",
}
MARKS = {"REPRODUCED": "✓", "REFUTED": "✗", "INCONCLUSIVE": "?", "ERROR": "!", "NOT RUN": "–"}


def number(value: float | None, digits: int = 3) -> str:
    """So many digits; "none" where there is no number."""
    return "none" if value is None else f"{value:.{digits}g}"


def effect_text(finding: FindingPart | None, digits: int = 3) -> str:
    """Estimate with interval, or the range of the seeds in the smoke tier."""
    if finding is None:
        return ""
    if finding.ci is not None and all(bound is None for bound in finding.ci):
        return (
            "no value"
            if finding.estimate is None
            else f"{number(finding.estimate, digits)}, no interval"
        )
    if finding.ci is not None:
        estimate, low, high = (number(value, digits) for value in (finding.estimate, *finding.ci))
        return f"{estimate} [{low}, {high}]"
    values = [value for value in finding.values if value is not None]
    ends = (
        list(dict.fromkeys(f"{end(values):.3g}" for end in (min, max))) if values else ["no value"]
    )
    return " to ".join(ends)


@dataclass(frozen=True)
class FindingView:
    """One finding, ready to print."""

    finding: FindingPart
    effect: str
    scale: EffectScale | None


@dataclass(frozen=True)
class ProtocolView:
    """One claim under one protocol."""

    row: Row
    main: FindingView | None
    findings: tuple[FindingView, ...]
    deviation: Deviation | None
    rerun: str

    @property
    def n(self) -> int:
        """Seeds behind the deciding findings."""
        return max(
            (finding.finding.n for finding in self.findings if finding.finding.decides), default=0
        )

    @property
    def censored(self) -> int:
        """Times that were not reached, of the deciding finding with most of them; sensitivity rows
        have their own.
        """
        return max(
            (finding.finding.censored for finding in self.findings if finding.finding.decides),
            default=0,
        )


@dataclass(frozen=True)
class Card:
    """One claim.

    Args:
        entry: its YAML entry; None where the claims folder has none (an audit of another folder).
        panels: names of the figure panels that the claim is about.
    """

    id: str
    statement: str
    place: str
    headline: bool
    protocols: tuple[ProtocolView, ...]
    entry: Claim | None
    figure: Figure | None
    panels: tuple[str, ...]

    @property
    def first(self) -> ProtocolView:
        """The first protocol with a verdict, else the first."""
        return next(
            (view for view in self.protocols if view.row.verdict != "NOT RUN"), self.protocols[0]
        )

    @property
    def judged(self) -> bool:
        """Whether there is a verdict under any protocol."""
        return any(view.row.verdict != "NOT RUN" for view in self.protocols)

    @property
    def criteria(self) -> dict[str, str]:
        """The regions and numbers of the criterion, in words."""
        if self.entry is None:
            return {}
        return {
            name: f"{bound:g}" if isinstance(bound, float) else str(bound.region())
            for name, bound in self.entry.criterion.items()
        }


@dataclass(frozen=True)
class Section:
    """The claims of one figure file, with the figures that are drawn from their runs."""

    name: str
    title: str
    place: str
    choices: str
    cards: tuple[Card, ...]
    drawn: tuple[Drawn, ...]

    @property
    def missing(self) -> tuple[Drawn, ...]:
        return tuple(each for each in self.drawn if not each.svg)


@dataclass(frozen=True)
class Page:
    """Everything the template prints."""

    audit: Audit
    sections: tuple[Section, ...]
    counts: Mapping[str, Mapping[str, int]]
    headline: tuple[tuple[str, Card | None], ...]
    recorded: str
    replay: bool
    by_panel: Mapping[str, tuple[Drawn, ...]] = field(default_factory=dict)

    @property
    def smoke(self) -> bool:
        return self.audit.tier == "smoke"

    @property
    def agreement(self) -> str:
        """Of a smoke audit with the recorded evidence; "" where they were not compared."""
        return sentence(self.audit.claims)

    @property
    def lead(self) -> str:
        """The result in one sentence, under the first protocol of the audit."""
        protocol, count = next(iter(self.counts.items()), ("", {}))
        judged = [f"{count[word]} {word}" for word in VERDICTS[:4] if count.get(word)]
        rest = (
            f" There is no evidence on the other {count['NOT RUN']}."
            if count.get("NOT RUN")
            else ""
        )
        whose = self.audit.suite.protocols.get(protocol, protocol)
        return (
            f"{sum(count.values())} claims, settings {whose}: "
            f"{', '.join(judged) or 'none judged'}.{rest}"
        )

    @property
    def protocols(self) -> list[str]:
        """Those that the audit has, in the suite's order."""
        return list(self.audit.protocols)

    @property
    def title(self) -> str:
        """Of the paper; "claims" where the audit does not say."""
        return self.audit.suite.title or "claims"


def rerun_command(folder: Path, figure: str, row: Row, replay: bool) -> str:
    """The command that judges just this claim again."""
    # What has no evidence is trained, not replayed again.
    tier = (
        " --replay"
        if replay and row.verdict != "NOT RUN"
        else " --tier paper"
        if row.tier == "paper"
        else ""
    )
    protocol = _protocol_option(folder, row.protocol)
    return (
        f"pytest {folder.name}/test_{figure}.py -k "
        f"{item_name(row.id, row.protocol)}{tier}{protocol}"
    )


def _protocol_option(folder: Path, protocol: str) -> str:
    return "" if protocol == load_suite(folder).protocols[0] else f" --protocol {protocol}"


def record_command(folder: Path, figure: str, tier: Tier, protocol: str) -> str:
    """The command that trains what a figure is drawn from."""
    more = (" --tier paper" if tier == "paper" else "") + _protocol_option(folder, protocol)
    return f"pytest {folder.name}/test_{figure}.py{more}"


def build(
    audit: Audit,
    suite: Suite,
    drawn: Sequence[Drawn] = (),
    seconds: Mapping[str, float] | None = None,
) -> Page:
    """Arrange an audit for the page.

    Args:
        audit: the verdicts.
        suite: the claims folder, for statements, criteria, choices and deviations.
        drawn: the redrawn figures.
        seconds: training seconds of each run behind them, by digest; a run that several claims
            share counts once.

    Raises:
        BadInput: a figure file or the list of deviations is not valid.
    """
    replay = audit.device == "replay"
    known = {claim.id: (figure, claim) for figure in suite.figures for claim in figure.claims}
    panels = [panel.name for panel in panels_of(suite)]
    by_claim: dict[str, list[Row]] = {}
    for row in audit.claims:
        by_claim.setdefault(row.id, []).append(row)
    cards: dict[str, list[Card]] = {}
    for name, rows in by_claim.items():
        figure, entry = known.get(name, (None, None))
        home = figure.figure if figure else rows[0].figure
        cards.setdefault(home, []).append(
            _card(name, rows, audit, suite.folder, home, figure, entry, replay, panels)
        )
    sections = []
    homes = {figure.figure: figure for figure, _ in known.values()}

    def place(home: str) -> tuple[bool, str]:
        """What is derived from other figures' runs comes after them."""
        return home in homes and not homes[home].experiments, home

    for home in sorted(set(cards) | {each.panel.figure for each in drawn}, key=place):
        own = homes.get(home)
        sections.append(
            Section(
                home,
                own.title if own else home,
                own.place if own else "",
                own.choices if own else "",
                tuple(cards.get(home, ())),
                tuple(each for each in drawn if each.panel.figure == home),
            )
        )
    counts: dict[str, Counter[str]] = {
        protocol: Counter(str(row.verdict) for row in audit.claims if row.protocol == protocol)
        for protocol in audit.protocols
    }
    by_id = {card.id: card for part in cards.values() for card in part}
    by_panel: dict[str, tuple[Drawn, ...]] = {}
    for each in drawn:
        if each.svg:
            by_panel[each.panel.name] = (*by_panel.get(each.panel.name, ()), each)
    total = sum((seconds or {}).values())
    recorded = (
        (
            f"{len(seconds)} training runs, {duration(total)} of training (runs that claims share "
            "count once)"
        )
        if seconds
        else ""
    )
    return Page(
        audit,
        tuple(sections),
        counts,
        tuple((name, by_id.get(name)) for name in _headline(audit)),
        recorded,
        replay,
        by_panel,
    )


def _headline(audit: Audit) -> tuple[str, ...]:
    """The headline claims under the first protocol."""
    return audit.suite.headline.get(audit.first, ())


def duration(seconds: float) -> str:
    """Seconds in a unit that a person reads."""
    for size, unit in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _card(
    name: str,
    rows: Sequence[Row],
    audit: Audit,
    folder: Path,
    home: str,
    figure: Figure | None,
    entry: Claim | None,
    replay: bool,
    panels: Sequence[str],
) -> Card:
    views = []
    for row in sorted(rows, key=lambda each: audit.rank(each.protocol)):
        found = tuple(
            FindingView(finding, effect_text(finding), effect_scale(finding))
            for finding in row.findings
        )
        main = row.deciding()
        deviation = (
            find_deviation(folder, name, row.tier, row.protocol, entry.version) if entry else None
        )
        shown = next((view for view in found if view.finding is main), None)
        views.append(
            ProtocolView(row, shown, found, deviation, rerun_command(folder, home, row, replay))
        )
    place = rows[0].place or (entry.place if entry else "")
    statement = rows[0].statement or (entry.statement if entry else "")
    return Card(
        name,
        statement,
        place,
        any(row.headline for row in rows),
        tuple(views),
        entry,
        figure,
        tuple(named_panels(place, panels)),
    )
