"""The column "replicated" of an audit, from the files ``retrained*.json`` next to the figures."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from omnigrok.audit.document import Audit
from omnigrok.errors import OmnigrokError
from omnigrok.plugin.arguments import read_options
from omnigrok.report.retraining import replicated, retrained_audits


def problem(config: pytest.Config, folders: Collection[Path]) -> str:
    """What is wrong with the files that this session's audit will show; "" if nothing is."""
    folder = _shown(config, folders)
    try:
        if folder is not None:
            retrained_audits(folder)
    except OmnigrokError as error:
        return str(error)
    return ""


def with_replicated(
    config: pytest.Config, folders: Collection[Path], audit: Audit
) -> tuple[Audit, str]:
    """The audit with the column, and ""; or as it is, and why the column is left out."""
    folder = _shown(config, folders)
    if folder is None:
        return audit, ""
    try:
        found = replicated(folder, audit)
    except OmnigrokError as error:
        return audit, f'{error}; the column "replicated" is left out'
    rows = tuple(
        row.model_copy(update={"replicated": found.get((row.id, row.protocol))})
        for row in audit.claims
    )
    return audit.model_copy(update={"claims": rows}), ""


def _shown(config: pytest.Config, folders: Collection[Path]) -> Path | None:
    """The claims folder whose files are shown; None if this session shows none."""
    options = read_options(config)
    written = any(config.getoption(f"audit_{name}") is not None for name in ("json", "report"))
    if options.tier != "paper" or options.first_seed or len(folders) != 1 or not written:
        return None
    return next(iter(folders))
