"""An audit as a Markdown table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from omnigrok.audit.decided import sentence
from omnigrok.audit.document import Audit, Row, Word
from omnigrok.report.unrun import unrun_table
from omnigrok.report.view import effect_text
from omnigrok.suite.suite import Suite

PART = "verdicts"
HEADLINE = "headline"
WEAK = "°"  # marks a verdict whose control is weak
WITH_EVIDENCE: tuple[Word, ...] = ("REPRODUCED", "REFUTED", "INCONCLUSIVE", "ERROR")


def table(audit: Audit, suite: Suite | None = None, power: Mapping[str, str] | None = None) -> str:
    """One row a claim, the protocols side by side; then the claims without evidence under any
    protocol.

    Args:
        suite: the claims folder, from which experiments and costs are read; without it they are
            left out.
        power: of the checks, by claim, for those that are INCONCLUSIVE.

    Raises:
        BadInput: a figure file of the folder is not valid.
    """
    by_claim: dict[str, dict[str, Row]] = {}
    for row in audit.claims:
        by_claim.setdefault(row.id, {})[row.protocol] = row
    shown = {
        name: rows
        for name, rows in by_claim.items()
        if any(row.verdict != "NOT RUN" for row in rows.values())
    }
    sources = experiments_of(suite) if suite else {}
    lines = [
        (
            f"| claim | {' | '.join(audit.protocols)} | effect under the first protocol with "
            "evidence | reported | n | robust | replicated | experiments |"
        ),
        "|---|" + "---|" * (len(audit.protocols) + 6),
    ]
    if audit.tier == "smoke":
        lines = [
            (
                "**Smoke tier: small networks, few steps, 3 seeds, verdicts by rule; no evidence "
                "for the paper.**"
            ),
            "",
            *lines,
        ]
    if audit.partial:
        lines = [f"**Partial audit: {plain(audit.partial)}.**", "", *lines]
    for name, rows in shown.items():
        first = next(
            rows[protocol]
            for protocol in audit.protocols
            if protocol in rows and rows[protocol].verdict != "NOT RUN"
        )
        cells = [marked(rows.get(protocol)) for protocol in audit.protocols]
        n = max((finding.n for finding in first.findings), default=0)
        numbers = f"{n} | {robust(first)} | {again(first)} | {', '.join(sources.get(name, ()))}"
        effect = f"{plain(_decides(first))} | {plain(first.reported)}"
        lines.append(f"| {name} | {' | '.join(cells)} | {effect} | {numbers} |")
    absent = [name for name in by_claim if name not in shown]
    undecided = [
        name
        for name, rows in shown.items()
        if any(row.verdict == "INCONCLUSIVE" for row in rows.values())
    ]
    versions = ", ".join(f"{name} {version}" for name, version in audit.versions.items())
    lines += ["", f"{audit.tier} tier, {plain(audit.device)}; judged with {plain(versions)}."]
    if agreement := sentence(audit.claims):
        lines += ["", f"**{plain(agreement)}.**"]
    if audit.tier == "paper" and undecided and power is not None:
        lines += ["", *_power(undecided, power)]
    if absent and suite is None:
        lines.append(f"NOT RUN ({len(absent)}): {', '.join(absent)}.")
    elif absent and suite:
        lines += [
            "",
            (
                f"Claims without evidence: {len(absent)}. What they need at full scale, without "
                "what is recorded:"
            ),
            "",
        ]
        lines += unrun_table(suite, absent)
    return "\n".join(lines) + "\n"


def headline_table(audit: Audit) -> str:
    """How many claims have which verdict under the first protocol, full and reduced scale apart,
    and one row for each headline claim with its sentence.
    """
    known = {row.id for row in audit.claims}
    families = audit.suite.headline.values()
    headline = dict.fromkeys(name for names in families for name in names if name in known)
    protocols = audit.protocols
    lines = [
        *_counts(audit),
        "",
        f"| headline claim | {' | '.join(protocols)} | what decides | reported | robust |",
        "|---|" + "---|" * (len(protocols) + 3),
    ]
    for name in headline:
        rows = {row.protocol: row for row in audit.claims if row.id == name}
        ranked = [rows[each] for each in protocols if each in rows]
        first = next((row for row in ranked if row.verdict != "NOT RUN"), ranked[0])
        cells = [marked(rows.get(protocol)) for protocol in protocols]
        lines.append(
            f"| **{name}** {plain(first.statement)} | {' | '.join(cells)} "
            f"| {plain(_decides(first))} | {plain(first.reported)} | {robust(first)} |"
        )
    return "\n".join(lines) + "\n"


def _counts(audit: Audit) -> Iterator[str]:
    first = next(iter(audit.protocols), "")
    rows = [row for row in audit.claims if row.protocol == first]
    judged = [row for row in rows if row.verdict != "NOT RUN"]
    yield f"Under `{first}`, {len(judged)} of {len(rows)} claims have evidence."
    for scale in ("full", "reduced"):
        count = Counter(row.verdict for row in judged if row.scale == scale)
        words = [f"{count[word]} {word}" for word in WITH_EVIDENCE if count[word]]
        yield f"At {scale} scale: {', '.join(words) or 'none'}."


def _power(undecided: Sequence[str], power: Mapping[str, str]) -> list[str]:
    """How often the checks of some claims say REPRODUCED where the effect is what the paper
    reports.
    """
    known = [f"{name} {power[name]}" for name in undecided if name in power]
    rest = [name for name in undecided if name not in power]
    text = (
        "Power of those that are INCONCLUSIVE, on simulated curves of the full scale with the "
        f"effect that the paper reports (`omnigrok calibrate`): {', '.join(known) or 'none known'}."
    )
    text += f" Not simulated: {', '.join(rest)}." if rest else ""
    return [
        text + " Verdicts marked `~` come from fewer seeds, steps or grid points; their power is "
        "lower and was not simulated."
    ]


def experiments_of(suite: Suite) -> dict[str, list[str]]:
    """Claim to its experiments; those of other figures with the figure's short name."""
    found: dict[str, list[str]] = {}
    for figure in suite.figures:
        for claim in figure.claims:
            names = [full.split(":") for full in suite.experiments(figure, claim).values()]
            found[claim.id] = [
                short if home == figure.figure else f"{home.split('_')[0]}:{short}"
                for home, short in names
            ]
    return found


def _decides(row: Row) -> str:
    """The finding that decided: its name, effect and region."""
    finding = row.deciding()
    if finding is None:
        return ""
    name = f"{finding.name}: " if finding.name else ""
    region = f" ({finding.region.text})" if finding.region else ""
    cause = row.cause()
    return f"{name}{effect_text(finding)}{region}" + (f"; {cause}" if cause else "")


def robust(row: Row) -> str:
    """In how many of the readings that the sentence leaves open the claim is REPRODUCED. Readings
    under which it has no value are counted apart.
    """
    found = row.universes
    if found is None:
        return ""
    none = found.without_value
    return f"{found.reproduced} of {found.n - none}" + (f", {none} without a value" if none else "")


def again(row: Row) -> str:
    """The verdict of a second training from other seeds."""
    return (
        ""
        if row.replicated is None
        else f"{row.replicated.verdict}{', flipped' * row.replicated.flipped}"
    )


# What Markdown or a page would act on: tags and entities, links and images, code, emphasis that
# starts or ends at a word, and addresses that become links by themselves.
_ACTIVE = re.compile(
    r"<(?=[A-Za-z/!?])|&(?=#?\w+;)|\](?=[(\[:])|!(?=\[)|[`\\]|~(?=~)"
    r"|(?<!\w)[*_]+(?=[^\s*_])|(?<=[^\s*_])[*_]+(?!\w)|:(?=//)|(?<=\bwww)\.|(?<=\w)@(?=\w)"
)


def plain(text: str) -> str:
    """Foreign text in a table cell: one line, no cell borders, nothing that Markdown acts on
    ("< 5" is no tag, and [1, 2] no link).
    """
    line = " ".join(text.replace("|", "/").split())
    return _ACTIVE.sub(lambda found: "".join(map(_entity, found[0])), line)


def _entity(character: str) -> str:
    return {"<": "&lt;", "&": "&amp;"}.get(character, f"&#{ord(character)};")


def marked(row: Row | None) -> str:
    """A verdict with the marks of its scale, of its control and of where its curves come from; ""
    without a row.
    """
    if row is None:
        return ""
    marks = {
        " ~": row.scale == "reduced",
        f" {WEAK}": row.control.weak,
        " !": row.stale,
        " ^": row.imported,
    }
    other = f" (evidence: {row.evidence})" if row.agreement in ("opposite", "excused") else ""
    return row.verdict + "".join(mark for mark, shown in marks.items() if shown) + other


def without_versions(text: str) -> str:
    """The verdicts are what must be current; who judges them again may have other versions."""
    return re.sub(r"judged with .*", "judged", text)
