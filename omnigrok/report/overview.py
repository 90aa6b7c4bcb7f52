"""What a page says first: counts of verdicts, findings in sentences, and every claim in a row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from omnigrok.audit.decided import sentence
from omnigrok.audit.document import Audit
from omnigrok.errors import BadInput
from omnigrok.report.cards import Card, Section, Shown, cards_of, with_figures
from omnigrok.report.findings import TEMPLATE, findings_text
from omnigrok.report.panels import Drawn, panels_of
from omnigrok.report.view import VERDICTS, WITH_EVIDENCE, duration
from omnigrok.suite.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

FINDINGS = 5  # that stand open on the page


@dataclass(frozen=True)
class Segment:
    """A piece of the bar of verdicts; widths in per cent."""

    verdict: str
    scale: str
    count: int
    at: float
    width: float


@dataclass(frozen=True)
class Bar:
    """The verdicts under one protocol."""

    protocol: str
    about: str
    segments: tuple[Segment, ...]

    @property
    def total(self) -> int:
        return sum(each.count for each in self.segments)

    @property
    def judged(self) -> int:
        """Claims with evidence."""
        return sum(each.count for each in self.segments if each.verdict != "NOT RUN")

    def said(self, scale: str) -> str:
        """The verdicts at one scale in words."""
        words = [
            f"{each.count} {each.verdict}"
            for each in self.segments
            if each.scale == scale and each.verdict != "NOT RUN"
        ]
        return ", ".join(words) or "none"


@dataclass(frozen=True)
class Told:
    """Findings in sentences, as HTML.

    Args:
        note: why they are not those of the suite's template.
    """

    items: tuple[Markup, ...]
    note: str = ""


@dataclass(frozen=True)
class Page:
    """Everything the templates print."""

    audit: Audit
    suite: Suite
    sections: tuple[Section, ...]
    recorded: str

    @property
    def smoke(self) -> bool:
        return self.audit.tier == "smoke"

    @property
    def replay(self) -> bool:
        return self.audit.device == "replay"

    @property
    def agreement(self) -> str:
        """Of a smoke audit with the recorded evidence; "" where they were not compared."""
        return sentence(self.audit.claims)

    @property
    def title(self) -> str:
        """Of the paper; "claims" where the audit does not say."""
        return self.audit.suite.title or "claims"

    @property
    def protocols(self) -> tuple[str, ...]:
        """Those that the audit has, in the suite's order."""
        return self.audit.protocols

    @property
    def cards(self) -> tuple[Card, ...]:
        return tuple(card for section in self.sections for card in section.cards)

    @cached_property
    def bars(self) -> tuple[Bar, ...]:
        """The verdicts by protocol, full and reduced scale apart."""
        return tuple(_bar(self.audit, protocol) for protocol in self.protocols)

    @cached_property
    def headline(self) -> tuple[tuple[str, Card | None], ...]:
        """The family that Holm's correction decides, under the first protocol."""
        known = {card.id: card for card in self.cards}
        names = self.audit.suite.headline.get(self.audit.first, ())
        return tuple((name, known.get(name)) for name in names)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Claims that have a verdict under some protocol."""
        return Counter(
            verdict
            for card in self.cards
            for verdict in {view.row.verdict for view in card.protocols}
        )

    @cached_property
    def homes(self) -> Mapping[str, str]:
        """Claim to the slug of its section."""
        return {card.id: section.slug for section in self.sections for card in section.cards}


def _bar(audit: Audit, protocol: str) -> Bar:
    rows = [row for row in audit.claims if row.protocol == protocol]
    count = Counter((row.verdict, "reduced" if row.scale == "reduced" else "full") for row in rows)
    segments, at = [], 0.0
    for verdict in VERDICTS:
        # What was not run has no scale.
        pairs = [("full", count[verdict, "full"]), ("reduced", count[verdict, "reduced"])]
        if verdict not in WITH_EVIDENCE:
            pairs = [("", sum(number for _, number in pairs))]
        for scale, number in pairs:
            if number:
                width = 100 * number / len(rows)
                segments.append(Segment(verdict, scale, number, at, width))
                at += width
    return Bar(protocol, audit.suite.protocols.get(protocol, protocol), tuple(segments))


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
    cards = cards_of(audit, suite, panels_of(suite))
    by_panel: dict[str, dict[str, Drawn]] = {}
    for each in drawn:
        if each.svg:
            by_panel.setdefault(each.panel.name, {})[each.protocol] = each
    homes = {figure.figure: figure for figure in suite.figures}

    def rank(home: str) -> tuple[bool, str]:
        """What is derived from other figures' runs comes after them."""
        return home in homes and not homes[home].experiments, home

    sections: list[Section] = []
    slugs: set[str] = set()
    for home in sorted(set(cards) | {each.panel.figure for each in drawn}, key=rank):
        own = homes.get(home)
        seen: set[str] = set()
        shown = with_figures(home, cards.get(home, ()), by_panel, seen)
        mine = [each for each in drawn if each.panel.figure == home]
        sections.append(
            Section(
                home,
                _slug(home, slugs),
                own.title if own else home,
                own.place if own else "",
                own.choices if own else "",
                shown,
                tuple(
                    Shown(name, by_panel[name])
                    for name in dict.fromkeys(each.panel.name for each in mine if each.svg)
                    if name not in seen
                ),
                tuple(each for each in mine if not each.svg),
            )
        )
    total = sum((seconds or {}).values())
    recorded = (
        (
            f"{len(seconds)} training runs, {duration(total)} of training (runs that claims share "
            "count once)"
        )
        if seconds
        else ""
    )
    return Page(audit, suite, tuple(sections), recorded)


def _slug(name: str, taken: set[str]) -> str:
    """A name that is safe in an address and a file name, and no other section's: the audit may come
    from a stranger.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-") or "figure"
    slug, count = plain, 1
    while slug in taken or slug == "index":
        count += 1
        slug = f"{plain}-{count}"
    taken.add(slug)
    return slug


def told(page: Page, address: Callable[[str], str]) -> Told:
    """The findings of the suite's template; the headline claims in sentences if there is no
    template, or if it was not written for this audit.

    Args:
        address: of a claim's card.
    """
    template = page.suite.folder / TEMPLATE
    if page.smoke or not template.is_file():
        return Told(_of_headline(page, address))
    try:
        text = findings_text(page.suite.folder, page.audit, address)
    except BadInput as error:
        return Told(_of_headline(page, address), str(error))
    return Told(tuple(map(_html, re.findall(r"^\* (.*(?:\n  .*)*)", text, re.MULTILINE))))


def _html(markdown: str) -> Markup:
    from markdown_it import MarkdownIt  # noqa: PLC0415 (needs the extra omnigrok[report])
    from markupsafe import Markup  # noqa: PLC0415

    # Tags of the text are escaped; an image would be fetched.
    parser = MarkdownIt("commonmark", {"html": False}).disable("image")
    html = parser.renderInline(" ".join(markdown.split()))
    return Markup(html)  # noqa: S704 (made by the parser)


def _of_headline(page: Page, address: Callable[[str], str]) -> tuple[Markup, ...]:
    """A sentence a claim: the headline claims, else the first ones that are judged."""
    from markupsafe import Markup  # noqa: PLC0415

    headline = [card for _, card in page.headline if card is not None and card.judged]
    chosen = headline or [card for card in page.cards if card.judged][:FINDINGS]
    return tuple(
        Markup('<strong>{}:</strong> {} <a href="{}">{}</a>').format(
            card.first.row.verdict, card.statement, address(card.id), card.first.why
        )
        for card in chosen
    )
