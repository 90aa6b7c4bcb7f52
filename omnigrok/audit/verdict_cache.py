"""Verdicts on recorded evidence that were judged before, by all that decides them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from omnigrok.audit.document import CostPart, UniversesPart
from omnigrok.audit.outcome import Outcome
from omnigrok.audit.session import AuditSession, Request
from omnigrok.audit.sources import (
    Sources,
    libraries,
    of_claims,
    of_files,
    of_imports,
    of_package,
)
from omnigrok.cache import Cache
from omnigrok.errors import OmnigrokError
from omnigrok.evidence.find import FOLDER, path_of
from omnigrok.stats.finding import Finding, Region, Verdict
from omnigrok.suite.suite import Suite


class VerdictCache:
    """Outcomes of a replay, by the digests of claims folder, evidence, code and libraries, and by
    what was selected: a cost says how many runs other selected claims share.

    A file that changes while a session runs may have been read before or after: what hangs on it is
    not kept.

    Args:
        cache: where the outcomes are.
        audit: the session.
        universes: whether the readings of each sentence are judged, too.
        began: when the session began to read files, in seconds since 1970.
        more: further files that may decide.
    """

    def __init__(
        self,
        cache: Cache,
        audit: AuditSession,
        universes: bool,
        began: float,
        more: Sequence[Path] = (),
    ) -> None:
        self._cache, self._began, self._more = cache, began, more
        self._device = audit.device_name
        options = audit.options
        self._options = [options.tier, options.scale, options.gpu, universes]
        selected = sorted({(each.claim.id, each.protocol) for each in audit.requests})
        self._selected = hashlib.sha256(json.dumps(selected).encode()).hexdigest()[:32]
        self._read: dict[Suite, _Read | None] = {}

    def get(self, request: Request) -> Outcome | None:
        """What was judged before; None where nothing was, or something has changed since."""
        key = self._key(request)
        value = None if key is None else self._cache.get(key)
        try:
            return None if value is None else restored(value)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def put(self, request: Request, outcome: Outcome) -> None:
        """Keep an outcome, unless it is an ERROR or one of its files has changed since the session
        began.
        """
        key = self._key(request)
        if key is None or outcome.verdict is Verdict.ERROR:
            return
        read = self._read[request.suite]
        evidence = [path.stat().st_mtime for path in _paths(request) if path.exists()]
        if read is not None and max(read.changed, *evidence, 0.0) < self._began:
            self._cache.put(key, stored(outcome))

    def trim(self) -> None:
        """Keep within the limit."""
        self._cache.trim()

    def _key(self, request: Request) -> str | None:
        suite = request.suite
        if suite not in self._read:
            self._read[suite] = _Read.of(suite, self._more)
        read = self._read[suite]
        if read is None:
            return None
        parts = [
            [request.claim.id, request.protocol, request.role],
            self._options,
            self._selected,
            self._device,
            read.digests,
            [_evidence(path, path.stat()) if path.exists() else "" for path in _paths(request)],
        ]
        return json.dumps(parts, sort_keys=True)


@dataclasses.dataclass(frozen=True)
class _Read:
    digests: Mapping[str, Any]
    changed: float

    @classmethod
    def of(cls, suite: Suite, more: Sequence[Path]) -> _Read | None:
        """None where a file is not in order, which the claims that need it will say."""
        try:
            claims, imports = of_claims(suite), of_imports(suite)
            others = [of_files(path.parent, [path]) for path in more]
        except (OSError, SyntaxError, ValueError, OmnigrokError):
            return None
        package = of_package()
        sources = [claims, package, *others, *imports.values()]
        digests = {
            "claims": claims.digest,
            "others": sorted(each.digest for each in others),
            "package": package.digest,
            "libraries": libraries(),
            "imports": {
                name: each if isinstance(each, str) else each.digest
                for name, each in imports.items()
            },
        }
        return cls(digests, max(each.changed for each in sources if isinstance(each, Sources)))


def _paths(request: Request) -> list[Path]:
    """The evidence that a request reads."""
    suite = request.suite
    names = suite.experiments(request.figure, request.claim).values()
    return [path_of(suite.folder / FOLDER, name, request.protocol) for name in names]


def _evidence(path: Path, status: Any) -> str:
    return _digest(path, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=512)
def _digest(path: Path, *status: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON has it."""
    universes = outcome.universes
    return {
        **dataclasses.asdict(outcome),
        "cost": outcome.cost.model_dump(mode="json"),
        "universes": None if universes is None else universes.model_dump(mode="json"),
    }


def restored(value: Mapping[str, Any]) -> Outcome:
    """An outcome from ``stored``.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: it is no stored outcome.
    """
    fields = dict(value)
    fields["verdict"] = Verdict(fields["verdict"])
    fields["cost"] = CostPart.model_validate(fields["cost"])
    if fields["universes"] is not None:
        fields["universes"] = UniversesPart.model_validate(fields["universes"])
    fields["edge"] = tuple(fields["edge"])
    fields["findings"] = tuple(_finding(each) for each in fields["findings"])
    return Outcome(**fields)


def _finding(value: Mapping[str, Any]) -> Finding:
    fields = dict(value)
    ci, region = fields["ci"], fields["region"]
    fields["ci"] = None if ci is None else (ci[0], ci[1])
    fields["region"] = None if region is None else Region(**region)
    fields["values"] = tuple(fields["values"])
    return Finding(**fields)
