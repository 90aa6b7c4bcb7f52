"""What the command line asks for, in the package's own terms."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from omnigrok.audit.session import Options
from omnigrok.cache import is_on
from omnigrok.data import default_root
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.files import check_target
from omnigrok.suite.schema import Scale, Tier


def read_options(config: pytest.Config) -> Options:
    """The options in the package's own terms.

    Raises:
        pytest.UsageError: they contradict each other, or ask for a device that is not there.
    """
    gpu, replay = config.getoption("audit_gpu"), config.getoption("audit_replay")
    tier: Tier = config.getoption("audit_tier") or ("paper" if gpu or replay else "smoke")
    if replay and tier != "paper":
        raise pytest.UsageError(
            "--replay judges recorded evidence of the paper tier; leave --tier out"
        )
    engine = config.getoption("audit_engine")
    _check_engine(config, engine)
    if gpu and engine == "local" and not torch.cuda.is_available():
        raise pytest.UsageError(
            f"--gpu: torch {torch.__version__} sees no CUDA device; leave --gpu out, or install a "
            "CUDA build of torch"
        )
    if config.getoption("audit_plan") and (replay or config.getoption("audit_json") is not None):
        raise pytest.UsageError("--plan judges nothing; leave --replay and --audit-json out")
    if config.getoption("audit_plan") and (
        hasattr(config, "workerinput") or config.getoption("numprocesses", None)
    ):
        raise pytest.UsageError("--plan measures one process alone; leave -n out, or give -n 0")
    scale: Scale = config.getoption("audit_scale")
    if scale == "reduced" and tier != "paper":
        raise pytest.UsageError(
            "--scale reduced belongs to --tier paper; the smoke tier has settings of its own"
        )
    first_seed = config.getoption("audit_first_seed")
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
        accept_stale=config.getoption("audit_accept_stale"),
        data_root=config.getoption("audit_data_root") or default_root(),
        runs=config.getoption("audit_runs"),
        budget=config.getoption("audit_budget"),
        strict=config.getoption("audit_strict_verdicts"),
        engine=engine,
        address=config.getoption("audit_address"),
        cache=_cache(config),
    )


def _cache(config: pytest.Config) -> bool:
    """Whether results of the user's cache are wanted.

    Raises:
        pytest.UsageError: the variable that switches it off has another value.
    """
    try:
        return is_on() and not config.getoption("audit_no_cache")
    except OmnigrokError as error:
        raise pytest.UsageError(str(error)) from None


def _check_engine(config: pytest.Config, engine: str) -> None:
    """Refuse what does not go together with an engine.

    Raises:
        pytest.UsageError: it does not.
    """
    if engine == "local":
        if config.getoption("audit_address") is not None:
            raise pytest.UsageError("--address names a Ray cluster; give --engine ray, too")
        return
    if find_spec("ray") is None:
        raise pytest.UsageError("--engine ray needs ray: pip install 'omnigrok[ray]'")
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        raise pytest.UsageError(
            "--engine ray trains in the cluster and records in one process; leave -n out, or give "
            "-n 0"
        )
    for option in ("replay", "plan"):
        if config.getoption(f"audit_{option}"):
            raise pytest.UsageError(f"--{option} trains nothing; leave --engine out")


def check_paths(config: pytest.Config) -> None:
    """Refuse what cannot be written before anything is trained.

    Raises:
        pytest.UsageError: a path is a folder, its folder is missing, or either is read-only; two
        options name one file; or a page cannot be drawn here.
    """
    named: dict[str, Path | None] = {
        "--audit-json": config.getoption("audit_json"),
        "--report": config.getoption("audit_report"),
        "--runs": config.getoption("audit_runs"),
    }
    owners: dict[Path, str] = {}
    try:
        for option, path in named.items():
            if path is None:
                continue
            if (other := owners.setdefault(path.resolve(), option)) != option:
                raise BadInput(
                    f"{other} and {option} both name {path}: give each a file of its own"
                )
            if option != "--runs" or not config.getoption("audit_replay"):
                check_target(option, path, make_folder=option == "--runs")
    except OmnigrokError as error:
        raise pytest.UsageError(str(error)) from None
    missing = [
        name
        for name in ("jinja2", "matplotlib")
        if config.getoption("audit_report") and find_spec(name) is None
    ]
    if missing:
        raise pytest.UsageError(
            f"--report needs {' and '.join(missing)}: pip install 'omnigrok[report]'"
        )
