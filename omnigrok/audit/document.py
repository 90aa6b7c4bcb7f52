"""The audit document: what a worker sends of one item, what ``pytest claims/ --audit-json`` writes,
and what page, terminal, Markdown and comparison read. One that is read may come from a stranger.

``docs/audit.schema.json`` is its JSON schema.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from omnigrok.errors import BadInput
from omnigrok.files import read_whole, write_whole
from omnigrok.printable import harmless_json
from omnigrok.problems import first_problem
from omnigrok.suite.schema import LONGEST_ID, PROTOCOL_NAME, Finite, Tier
from omnigrok.suite.suite import Suite

SCHEMA = 1
LARGEST_FILE = 16_000_000  # bytes; the audit of this paper has half a million
# For one finding: one number a seed.
MOST_VALUES = 5_000
Role = Literal["claim", "control"]
Word = Literal["REPRODUCED", "REFUTED", "INCONCLUSIVE", "ERROR", "NOT RUN"]
# Ids go into links and file names of the page.
ClaimId = Annotated[str, Field(pattern=rf"^[A-Za-z0-9._-]{{1,{LONGEST_ID}}}$")]
Protocol = Annotated[str, Field(pattern=f"^{PROTOCOL_NAME}$")]


def _no_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _as_json(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


# JSON has no infinities: they are "inf" and "-inf" there. Not-a-number is no number.
Number = Annotated[
    float | None,
    BeforeValidator(_no_nan),
    PlainSerializer(_as_json),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf"]}, {"type": "null"}]}),
]
Ends = tuple[Number, Number]
# Between a smoke verdict and what the recorded evidence decided (``omnigrok.audit.decided``).
Agreement = Literal["agrees", "undecided", "opposite", "excused", "outdated"]


def _ordered(ends: Ends) -> Ends:
    low, high = ends
    if low is not None and high is not None and low > high:
        raise ValueError(f"the interval's lower end {low:g} is above its upper end {high:g}")
    return ends


class Part(BaseModel):
    # A newer omnigrok of the same schema may add keys.
    model_config = ConfigDict(extra="ignore", frozen=True)


class RegionPart(Part):
    lo: Number = None
    hi: Number = None
    closed: bool = False
    text: str = ""


class FindingPart(Part):
    """One finding; numbers that the JSON has as "inf" are infinite here."""

    name: str = ""
    estimate: Number = None
    ci: Annotated[Ends, AfterValidator(_ordered)] | None = None
    p: Number = None
    smallest_p: Number = None
    n: int = 0
    censored: int = 0
    level: Finite = 0.95
    region: RegionPart | None = None
    values: Annotated[tuple[Number, ...], Field(max_length=MOST_VALUES)] = ()
    verdict: Word | None = None
    decides: bool = False
    premise: bool = False
    leads: bool = False
    method: str = ""
    note: str = ""
    extra: dict[str, Number] = {}


class ControlPart(Part):
    """The claim's control; ``neutral`` says that it is INCONCLUSIVE because its data lie on the
    region's edge, and narrowly.
    """

    verdict: Word = "NOT RUN"
    reason: str = ""
    neutral: bool = False
    findings: tuple[FindingPart, ...] = ()

    @property
    def weak(self) -> bool:
        """Whether it tells nothing: INCONCLUSIVE, and not neutral."""
        return self.verdict == "INCONCLUSIVE" and not self.neutral


class CostPart(Part):
    runs: int = 0
    steps: int = 0
    seconds: float = 0.0
    shared_runs: int = 0


class UniversesPart(Part):
    """The readings that a sentence leaves open (``omnigrok.audit.universes``).

    Args:
        n: combinations; ``reproduced``, ``refuted``, ``inconclusive``, ``error``: how many of them.
        shares: first-order share of the estimates' variance of each axis, largest first.
        curve: estimate, interval, verdict and choices of each, by estimate.
    """

    n: int = 0
    reproduced: int = 0
    refuted: int = 0
    inconclusive: int = 0
    error: int = 0
    shares: dict[str, float] = {}
    curve: tuple[tuple[Number, Number, Number, Word, str], ...] = ()

    @property
    def without_value(self) -> int:
        """How many are INCONCLUSIVE because nothing can be measured: no estimate, no interval."""
        return sum(
            verdict == "INCONCLUSIVE" and estimate is None and low is None and high is None
            for estimate, low, high, verdict, _ in self.curve
        )


class ReplicatedPart(Part):
    """The same claim trained again from other seeds.

    Args:
        first_seed: of those.
        verdict: of the second training.
        flipped: whether it is another one than that of the recorded seeds.
        smallest_p: of equal means, over what decides, after Holm's correction.
    """

    first_seed: int
    verdict: Word
    flipped: bool
    smallest_p: float | None = None


class AgreementPart(Part):
    """How many claims of a smoke audit agree with what the recorded evidence decided; each row says
    which.
    """

    decided: int = 0
    agrees: int = 0
    undecided: int = 0
    opposite: int = 0
    excused: int = 0
    outdated: int = 0


class Row(Part):
    """The verdict on one claim under one protocol.

    ``deviation`` is why a verdict that was recorded as a deviation is known; ``evidence`` and
    ``agreement`` compare a smoke verdict with the recorded evidence.
    """

    id: ClaimId
    figure: str = ""
    protocol: Protocol
    tier: Tier = "paper"
    verdict: Word
    reason: str = ""
    findings: tuple[FindingPart, ...] = ()
    scale: str = "full"
    reduction: str = ""
    cost: CostPart = CostPart()
    digests: dict[str, str] = {}
    stale: int = 0
    imported: int = 0
    headline: bool = False
    statement: str = ""
    place: str = ""
    reported: str = ""
    control: ControlPart = ControlPart()
    p: Number = None
    q: Number = None
    holm_p: Number = None
    premise: str = ""
    cells: int = 0
    moving: int = 0
    universes: UniversesPart | None = None
    replicated: ReplicatedPart | None = None
    deviation: str = ""
    evidence: Word | None = None
    agreement: Agreement | None = None

    def deciding(self) -> FindingPart | None:
        """The finding that decided: a premise that is not met, else the leading or first one whose
        own verdict is the whole's.
        """
        unmet = self._unmet()
        if unmet is not None:
            return unmet
        parts = [finding for finding in self.findings if finding.decides]
        own = [finding for finding in parts if finding.verdict == self.verdict] or parts
        return next((finding for finding in own if finding.leads), own[0] if own else None)

    def _unmet(self) -> FindingPart | None:
        return next(
            (
                finding
                for finding in self.findings
                if finding.premise and finding.verdict != "REPRODUCED"
            ),
            None,
        )

    def cause(self) -> str:
        """Why the verdict is another one than that of the finding which is shown for it; "" where
        they agree.
        """
        shown = self.deciding()
        if self.verdict not in ("INCONCLUSIVE", "ERROR") or shown is None:
            return ""
        if shown.premise:
            return "premise not met"
        if shown.verdict == self.verdict:
            return ""
        if self.control.verdict in ("REPRODUCED", "ERROR"):
            why = f"its control is {self.control.verdict}"
        elif self.holm_p is not None and self.holm_p > 0.05 and not self.moving:
            why = f"Holm p = {self.holm_p:.2g}"
        elif self.moving:
            why = f"{self.moving} of {self.cells} runs not settled"
        else:
            why = self.reason
        return f"points to {shown.verdict}; {why}" if shown.verdict else why


class ItemRow(Row):
    """The verdict on one item, a claim or its control, as the process that judged it sends it.

    Args:
        edge: findings of a control whose data lie on the edge of the region.
        unfinished: NOT RUN only because the ``--budget`` was spent.
    """

    role: Role = "claim"
    edge: tuple[str, ...] = ()
    unfinished: bool = False


class SuitePart(Part):
    """What was audited.

    Args:
        title, authors, venue, link: of the paper, as ``audit.yaml`` has them.
        protocols: name to words, in the order of tables.
        headline: the family that Holm's correction decides, by protocol.
    """

    title: str = ""
    authors: tuple[str, ...] = ()
    venue: str = ""
    link: Annotated[str, Field(pattern=r"^(https?://[^\s<>\"]{1,300})?$")] = ""
    protocols: dict[Protocol, str] = {}
    headline: dict[Protocol, tuple[ClaimId, ...]] = {}

    @classmethod
    def of(cls, suite: Suite) -> SuitePart:
        """What a claims folder says of itself.

        Raises:
            BadInput: one of its files is not valid.
        """
        about = suite.about
        return cls(
            title=about.title,
            authors=tuple(about.authors),
            venue=about.venue,
            link=about.link,
            protocols={name: entry.about for name, entry in about.protocols.items()},
            headline={name: suite.headline(name) for name in suite.protocols},
        )


class Audit(Part):
    """All verdicts of one audit.

    Args:
        partial: what is missing of an audit that was stopped.
        date: when it was judged, as YYYY-MM-DD; "" in documents that do not say.
        commit: of the claims folder (``omnigrok.suite.revision``); "" where there is none.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    tier: Tier
    partial: str = ""
    date: Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\d)?$")] = ""
    commit: Annotated[str, Field(max_length=100)] = ""
    device: str = ""
    versions: dict[str, str] = {}
    first_seed: int = 0
    suite: SuitePart = SuitePart()
    agreement: AgreementPart | None = None
    claims: tuple[Row, ...]

    @property
    def protocols(self) -> tuple[str, ...]:
        """Those that a claim has a row under, in the suite's order."""
        used = dict.fromkeys(row.protocol for row in self.claims)
        return tuple(sorted(used, key=self.rank))

    @property
    def first(self) -> str:
        """The protocol that comes first: the suite's, or else that of the rows."""
        return next(iter((*self.suite.protocols, *self.protocols)), "")

    def rank(self, protocol: str) -> int:
        """The place of a protocol in tables."""
        known = list(self.suite.protocols)
        return known.index(protocol) if protocol in known else len(known)


def text_of(audit: Audit) -> str:
    """The document as JSON."""
    return audit.model_dump_json(indent=1, by_alias=True) + "\n"


def write_audit(path: Path, audit: Audit) -> None:
    """Write the document, whole or not at all.

    Raises:
        BadInput: the file cannot be written.
    """
    write_whole(path, text_of(audit))


def load_audit(path: Path) -> Audit:
    """The document in a file; control and invisible characters are written out.

    Raises:
        BadInput: the file cannot be read, is not such a document, or is of another schema; the
            message names the key.
    """
    try:
        document: Any = harmless_json(json.loads(read_whole(path, LARGEST_FILE)))
    except FileNotFoundError:
        raise BadInput(
            f"{path}: there is no such file; write one with pytest claims/ --audit-json {path}"
        ) from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("claims"), list):
        raise BadInput(
            f"{path}: is not an audit; write one with pytest claims/ --audit-json {path}"
        )
    if document.get("schema") != SCHEMA:
        raise BadInput(
            f"{path}: has schema {document.get('schema')!r}, this omnigrok reads {SCHEMA}"
        )
    return parse(document, str(path))


def parse(document: dict[str, Any], name: str = "the audit") -> Audit:
    """The document in typed form.

    Raises:
        BadInput: a key is missing or a value is not accepted; the message names it.
    """
    try:
        audit = Audit.model_validate(document)
    except ValidationError as error:
        where, first = first_problem(error)
        raise BadInput(f"{name}: {where}: {first['msg']}") from None
    seen: set[tuple[str, str]] = set()
    for row in audit.claims:
        if (row.id, row.protocol) in seen:
            raise BadInput(f"{name}: claim {row.id} is listed twice under protocol {row.protocol}")
        seen.add((row.id, row.protocol))
    return audit
