"""What an audit found, in sentences whose numbers come from its verdicts: ``findings.md.j2`` next
to the figures' YAML.

The template has two functions. ``effect(claim, protocol, words)`` is the estimate with its interval
of the one finding whose name has the words (or is them, or has all of several parts, with | between
them; without words the one that decided), with three digits or ``digits``.
``stands(claim, protocol, verdict)`` prints nothing, and fails where the verdict is another one than
the sentence was written for.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from omnigrok.audit.document import Audit, FindingPart, Row
from omnigrok.errors import BadInput
from omnigrok.report.markers import read_text
from omnigrok.report.view import effect_text

TEMPLATE = "findings.md.j2"
WIDTH = 100  # columns of a list item


class Told:
    """The functions of a template.

    Args:
        audit: where the numbers come from.
        address: of a claim's card, to which its numbers then link.
    """

    def __init__(self, audit: Audit, address: Callable[[str], str] | None = None) -> None:
        self.rows = {(row.id, row.protocol): row for row in audit.claims}
        self.address = address

    def _row(self, claim: str, protocol: str) -> Row:
        row = next((row for key, row in self.rows.items() if key == (claim, protocol)), None)
        if row is None:
            raise BadInput(
                f"{TEMPLATE}: the audit has no claim {claim!r} under protocol {protocol!r}"
            )
        return row

    def _finding(self, claim: str, protocol: str, words: str) -> FindingPart:
        row = self._row(claim, protocol)
        if not words:
            finding = row.deciding()
            if finding is None:
                raise BadInput(
                    f"{TEMPLATE}: {claim} under {protocol} is {row.verdict} and has no finding"
                )
            return finding
        found = [
            finding
            for finding in row.findings
            if all(part in finding.name for part in words.split("|"))
        ]
        # A name in full means that finding, whatever longer names hold it.
        found = [finding for finding in found if finding.name == words] or found
        if len(found) != 1:
            names = (
                "; ".join(finding.name for finding in row.findings) or f"none, it is {row.verdict}"
            )
            raise BadInput(
                f"{TEMPLATE}: {claim} under {protocol} has {len(found)} findings named {words!r}; "
                f"it has: {names}"
            )
        return found[0]

    def effect(self, claim: str, protocol: str, words: str = "", digits: int = 3) -> str:
        """Estimate and interval of one finding, as ``-0.84 [-0.892, -0.788]``."""
        text = effect_text(self._finding(claim, protocol, words), digits)
        return text if self.address is None else f"[{text}]({self.address(claim)})"

    def stands(self, claim: str, protocol: str, verdict: str) -> str:
        """Nothing, if the verdict is the one that the sentence was written for."""
        row = self._row(claim, protocol)
        if row.verdict != verdict:
            raise BadInput(
                f"{TEMPLATE}: a sentence was written for {claim} under {protocol} being {verdict}; "
                f"it is {row.verdict}: rewrite it"
            )
        return ""


def findings_text(folder: Path, audit: Audit, address: Callable[[str], str] | None = None) -> str:
    """The sentences of ``folder / "findings.md.j2"``, their numbers filled in.

    Args:
        address: of a claim's card; then each number links to that of its claim.

    Raises:
        BadInput: the template cannot be read or is not valid, a claim or finding that it names is
            not there, or a verdict is another.
    """
    # Both need the extra omnigrok[report].
    from jinja2 import StrictUndefined, TemplateError  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    path = folder / TEMPLATE
    told = Told(audit, address)
    # Plain Markdown: what goes into a page is escaped there.
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    try:
        return _filled(
            environment.from_string(read_text(path)).render(effect=told.effect, stands=told.stands)
        )
    except TemplateError as error:
        raise BadInput(f"{path}: {error}") from error


def _filled(text: str) -> str:
    """List items at 100 columns: the numbers that were filled in have any length."""
    return re.sub(
        r"^\* .*(?:\n  .*)*",
        lambda item: textwrap.fill(
            " ".join(item[0].split()),
            WIDTH,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        ),
        text,
        flags=re.MULTILINE,
    )
