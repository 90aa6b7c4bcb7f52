"""The command-line options of an audit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from omnigrok.audit.session import Options
from omnigrok.data import default_root
from omnigrok.errors import OmnigrokError
from omnigrok.files import check_target
from omnigrok.spelling import nearest
from omnigrok.suite.schema import Scale, Tier


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


def add_options(parser: pytest.Parser, given: Sequence[str] = ()) -> None:
    """Register the options with pytest.

    Args:
        given: the command line, so that pytest's refusal of a misspelt option can name the one that
            was meant.
    """
    group = parser.getgroup("omnigrok", "audit of the Omnigrok paper")
    names: list[str] = []

    def add(name: str, **settings: Any) -> None:
        names.append(name)
        group.addoption(name, **settings)

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
            "train with the seeds N, N + 1, ... in place of 0, 1, ...: a replication, to be "
            "compared with omnigrok compare"
        ),
    )
    add(
        "--gpu",
        action="store_true",
        help="train on CUDA; implies --tier paper unless --tier smoke is given",
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


def read_options(config: pytest.Config) -> Options:
    """The options in the package's own terms.

    Raises:
        pytest.UsageError: they contradict each other, or ask for a device that is not there.
    """
    gpu, replay = config.getoption("gpu"), config.getoption("replay")
    tier: Tier = config.getoption("tier") or ("paper" if gpu or replay else "smoke")
    if replay and tier != "paper":
        raise pytest.UsageError(
            "--replay judges recorded evidence of the paper tier; leave --tier out"
        )
    if gpu and not torch.cuda.is_available():
        raise pytest.UsageError(
            f"--gpu: torch {torch.__version__} sees no CUDA device; leave --gpu out, or install a "
            "CUDA build of torch"
        )
    if config.getoption("plan") and (replay or config.getoption("audit_json") is not None):
        raise pytest.UsageError("--plan judges nothing; leave --replay and --audit-json out")
    if config.getoption("plan") and (
        hasattr(config, "workerinput") or config.getoption("numprocesses", None)
    ):
        raise pytest.UsageError("--plan measures one process alone; leave -n out, or give -n 0")
    scale: Scale = config.getoption("scale")
    if scale == "reduced" and tier != "paper":
        raise pytest.UsageError(
            "--scale reduced belongs to --tier paper; the smoke tier has settings of its own"
        )
    first_seed = config.getoption("first_seed")
    if replay and first_seed:
        raise pytest.UsageError(
            "--first-seed trains other seeds than those recorded; leave out --replay, or "
            "--first-seed"
        )
    return Options(
        tier=tier,
        scale=scale,
        first_seed=first_seed,
        gpu=gpu,
        replay=replay,
        accept_stale=config.getoption("accept_stale"),
        data_root=config.getoption("data_root") or default_root(),
        runs=config.getoption("runs"),
        budget=config.getoption("budget"),
        strict=config.getoption("strict_verdicts"),
    )


def check_paths(config: pytest.Config) -> None:
    """Refuse what cannot be written before anything is trained.

    Raises:
        pytest.UsageError: a path is a folder, its folder is missing, or either is read-only; or a
        page cannot be drawn here.
    """
    runs = None if config.getoption("replay") else config.getoption("runs")
    try:
        for option, path in (
            ("--audit-json", config.getoption("audit_json")),
            ("--report", config.getoption("report")),
        ):
            if path is not None:
                check_target(option, path)
        if runs is not None:
            check_target("--runs", runs, make_folder=True)
    except OmnigrokError as error:
        raise pytest.UsageError(str(error)) from None
    missing = [
        name
        for name in ("jinja2", "matplotlib")
        if config.getoption("report") and find_spec(name) is None
    ]
    if missing:
        raise pytest.UsageError(
            f"--report needs {' and '.join(missing)}: pip install 'omnigrok[report]'"
        )
