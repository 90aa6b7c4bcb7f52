"""The command-line options of an audit. Every pytest of an environment with this package loads this
module: it imports nothing heavy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from omnigrok.spelling import nearest

PREFIX = "--audit-"
MARK = "_omnigrok_options"


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise ValueError(text)
    return value


def _seed(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _taken(parser: pytest.Parser) -> set[str]:
    """The options that other plugins have registered."""
    groups = [*getattr(parser, "_groups", ()), getattr(parser, "_anonymous", None)]
    return {
        name
        for group in groups
        if group is not None
        for each in group.options
        for name in each.names()
    }


def add_options(parser: pytest.Parser, given: Sequence[str] = ()) -> None:
    """Register the options with pytest, once: each as ``--audit-NAME``, and as ``--NAME`` where no
    other plugin has that.

    Args:
        given: the command line, so that pytest's refusal of a misspelt option can name the one that
            was meant.
    """
    if getattr(parser, MARK, False):
        return
    setattr(parser, MARK, True)
    group = parser.getgroup("omnigrok", "audit of a paper's claims")
    taken, names = _taken(parser), list[str]()

    def add(name: str, **settings: Any) -> None:
        long = f"{PREFIX}{name.removeprefix('--').removeprefix('audit-')}"
        own = [long, *([name] if name != long and name not in taken else [])]
        names.extend(own)
        group.addoption(*own, **settings)

    add(
        "--tier",
        choices=["smoke", "paper"],
        default=None,
        help="smoke: small nets, minutes, no evidence for the paper (default); paper: its sizes",
    )
    add(
        "--scale",
        choices=["full", "reduced"],
        default="full",
        help=(
            "of the paper tier: full (default), or the coarser grids and fewer steps that the YAML "
            "files state, for a CPU"
        ),
    )
    add(
        "--first-seed",
        type=_seed,
        default=0,
        metavar="N",
        help=(
            "train with the seeds N, N + 1, ... instead of 0, 1, ...: a replication, to be "
            "compared with omnigrok compare"
        ),
    )
    add(
        "--gpu",
        action="store_true",
        help="train on CUDA; implies --tier paper unless --tier smoke is given",
    )
    add(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help=(
            "where stacks train: local (default), this machine's workers; ray, the actors of a Ray "
            "cluster, one a GPU with --gpu and one a core without, while this process records"
        ),
    )
    add(
        "--address",
        default=None,
        metavar="ADDRESS",
        help=(
            "of the Ray cluster, auto or HOST:6379 (default: a cluster of processes of this "
            "machine, for this audit)"
        ),
    )
    add(
        "--protocol",
        default=None,
        metavar="NAME",
        help="one of the settings that audit.yaml names (default: its first), or all",
    )
    add(
        "--replay",
        action="store_true",
        help="judge recorded evidence of the paper tier; trains nothing",
    )
    add(
        "--no-cache",
        action="store_true",
        help=(
            "of a replay: judge everything again, even what was judged before from the same "
            "evidence, criteria and code (OMNIGROK_CACHE=0 does the same)"
        ),
    )
    add(
        "--accept-stale",
        action="store_true",
        help="use results of another trainer version, torch or device; they are marked",
    )
    add(
        "--data-root",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder of downloaded data (default: $OMNIGROK_DATA or the user's cache folder)",
    )
    add(
        "--runs",
        type=Path,
        default=None,
        metavar="PATH",
        help="the run store (default: .omnigrok/runs.sqlite next to the claims folder)",
    )
    add(
        "--budget",
        type=_seconds,
        default=math.inf,
        metavar="SECONDS",
        help="stop training cleanly after so long; the same command goes on later",
    )
    add(
        "--plan",
        action="store_true",
        help="train nothing: print the runs, operations and time that the claims need here",
    )
    add(
        "--universes",
        action="store_true",
        help=(
            "judge each claim once more for every reading that its sentence leaves open "
            "(universes: in its YAML); changes no verdict"
        ),
    )
    add(
        "--strict-verdicts", action="store_true", help="INCONCLUSIVE fails instead of being skipped"
    )
    add(
        "--audit-json",
        type=Path,
        default=None,
        metavar="PATH",
        help="write all verdicts and findings as JSON, whole or not at all",
    )
    add(
        "--report",
        type=Path,
        default=None,
        metavar="PATH",
        help="write one self-contained HTML page with the figures redrawn",
    )
    for word in (each.partition("=")[0] for each in given):
        found = nearest(word, names) if word.startswith("--") and word not in names else None
        if found is not None:  # shown only where pytest refuses the command line
            parser.extra_info[f"did you mean, for {word}"] = found
