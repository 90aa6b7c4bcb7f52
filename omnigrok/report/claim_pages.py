"""A Markdown page for each claim of an audit, and a list of them, for the documentation's site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omnigrok.audit.document import Audit, FindingPart, Row
from omnigrok.report.markdown import again, marked, plain, robust
from omnigrok.report.view import effect_text
from omnigrok.suite.schema import Claim, Experiment, Figure, item_name
from omnigrok.suite.suite import Suite

FINDINGS = (
    "| finding | effect | criterion | verdict | n | censored | p | smallest p |",
    "|---|---|---|---|---:|---:|---:|---:|",
)


def claim_pages(audit: Audit, suite: Suite) -> dict[str, str]:
    """File name to Markdown: ``CLAIM.md`` for each claim of the suite, and ``index.md``.

    Args:
        audit: the verdicts; the page of a claim that it lacks shows no verdict.

    Raises:
        BadInput: a figure file is not valid.
    """
    rows: dict[str, list[Row]] = {}
    for row in sorted(audit.claims, key=lambda each: audit.rank(each.protocol)):
        rows.setdefault(row.id, []).append(row)
    pages = {
        f"{claim.id}.md": "\n".join(_page(suite, figure, claim, rows.get(claim.id, []))) + "\n"
        for figure in suite.figures
        for claim in figure.claims
    }
    pages["index.md"] = "\n".join(_index(audit, suite, rows)) + "\n"
    return pages


def _index(audit: Audit, suite: Suite, rows: dict[str, list[Row]]) -> Iterator[str]:
    yield from (
        "# Claims",
        "",
        f"Each has a page: sentence, criterion, control, readings, history, and what was found "
        f"in the {audit.tier} tier. `~` is a reduced scale, `!` stale evidence, `^` imported; "
        "headline claims are bold.",
    )
    protocols = suite.protocols
    for figure in suite.figures:
        yield from (
            "",
            f"## {plain(figure.title)}",
            "",
            f"{plain(figure.place)}.",
            "",
            f"| claim | sentence | {' | '.join(protocols)} |",
            "|---|---|" + "---|" * len(protocols),
        )
        for claim in figure.claims:
            known = {row.protocol: marked(row) for row in rows.get(claim.id, [])}
            link = f"[{claim.id}]({claim.id}.md)"
            yield (
                f"| {f'**{link}**' if claim.headline else link} | {plain(claim.statement)} | "
                f"{' | '.join(known.get(protocol, '') for protocol in protocols)} |"
            )


def _page(suite: Suite, figure: Figure, claim: Claim, rows: Sequence[Row]) -> Iterator[str]:
    headline = " It is a headline claim." if claim.headline else ""
    yield from (
        f"# {claim.id}",
        "",
        f"> {plain(claim.statement)}",
        "",
        f"{plain(claim.place)}; `claims/{figure.figure}.yaml`, version {claim.version}.{headline}",
        "",
        *((f"The paper's own value: {plain(claim.reported)}.", "") if claim.reported else ()),
        "## Verdicts",
        "",
        "| protocol | verdict | effect | criterion | robust | replicated | control | runs |",
        "|---|---|---|---|---|---|---|---:|",
    )
    for row in rows:
        finding = row.deciding()
        region = finding.region.text if finding and finding.region else ""
        yield (
            f"| {row.protocol} | {marked(row)} | {plain(effect_text(finding))} | {plain(region)} "
            f"| {robust(row)} | {again(row)} | {row.control.verdict} | {row.cost.runs} |"
        )
    for row in rows:
        if row.verdict != "NOT RUN":
            yield from _judged(row)
    yield from _entry(suite, figure, claim)


def _judged(row: Row) -> Iterator[str]:
    yield from ("", f"### Under `{row.protocol}`", "", f"Reason: {plain(row.reason)}.", "")
    if row.reduction:
        yield from (f"Reduced scale: {plain(row.reduction)}.", "")
    yield from FINDINGS
    # What decides first; the others are sensitivity rows.
    for finding in sorted(row.findings, key=lambda each: not each.decides):
        yield _finding(finding)
    if row.universes is not None and row.universes.n:
        found = row.universes
        yield from (
            "",
            f"Of {found.n} readings: {found.reproduced} REPRODUCED, {found.refuted} REFUTED, "
            f"{found.inconclusive} INCONCLUSIVE, {found.error} ERROR.",
        )
        if found.shares:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in found.shares.items())
            yield from ("", f"Share of the estimates' variance by choice: {plain(shares)}.")


def _finding(finding: FindingPart) -> str:
    region = finding.region.text if finding.region else ""
    verdict = (finding.verdict or "") if finding.decides else "shown only"
    numbers = " | ".join(
        "" if value is None else f"{value:.2g}" for value in (finding.p, finding.smallest_p)
    )
    return (
        f"| {plain(finding.name)} | {plain(effect_text(finding))} | {plain(region)} | {verdict} "
        f"| {finding.n} | {finding.censored} | {numbers} |"
    )


def _entry(suite: Suite, figure: Figure, claim: Claim) -> Iterator[str]:
    """What the YAML says of a claim."""
    yield from ("", "## Criterion", "")
    for name, bound in claim.criterion.items():
        text = f"{bound:g}" if isinstance(bound, float) else bound.region()
        yield f"* `{name}`: {plain(str(text))}"
    if claim.premise:
        yield from ("", f"Premise: {plain(claim.premise)}.")
    yield from ("", f"What is read: {_settings(claim.quantity)}.")
    yield from ("", "## Control", "", f"{plain(claim.control.why)}.")
    if claim.control.quantity:
        yield from ("", f"What differs: {_settings(claim.control.quantity)}.")
    if claim.universes:
        yield from ("", "## Readings that the sentence leaves open", "")
        for name, levels in claim.universes.items():
            yield f"* `{name}`: {plain(', '.join(map(str, levels)))}"
    choices = [text for text in (claim.choices, figure.choices) if text]
    if choices:
        yield from ("", "## Choices", "")
        yield from "\n\n".join(plain(text) for text in choices).split("\n")
    yield from ("", "## Experiments", "")
    for name, full in suite.experiments(figure, claim).items():
        about = _about(suite.experiment(full))
        yield f"* `{name}`" + (f": {plain(about)}" if about else "")
    if claim.history:
        yield from ("", "## History of the criterion", "")
        yield from (f"* {plain(text)}" for text in claim.history)
    yield from (
        "",
        "## Judge it again",
        "",
        f"    pytest claims/ --replay -k {item_name(claim.id, claim.protocols[0])}",
        f"    omnigrok universes {claim.id}",
    )


def _about(experiment: Experiment) -> str:
    return " ".join(experiment.about.split())


def _settings(quantity: dict[str, object]) -> str:
    """Keys and values in code, which Markdown leaves as they are."""
    return ", ".join(f"`{name}: {value}`".replace("|", "/") for name, value in quantity.items())
