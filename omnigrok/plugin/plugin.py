"""The pytest plugin: its options, and its parts.

pytest loads it by itself for a folder of claims (``omnigrok.plugin.entry``); where plugins are not
loaded automatically, a root conftest with ``pytest_plugins = ["omnigrok.plugin.plugin"]`` or
``-p omnigrok.plugin.plugin`` does.
"""

from __future__ import annotations

from typing import cast

import pytest

from omnigrok.plugin import items, outcomes, words
from omnigrok.plugin.arguments import check_paths, read_options
from omnigrok.plugin.command_line import add_options
from omnigrok.plugin.controller import Controller, ExitStatus, outcome_of
from omnigrok.plugin.github import GitHub, on_github
from omnigrok.plugin.gpus import assign_gpu, worker_number
from omnigrok.plugin.known import Known
from omnigrok.plugin.notes import Notes
from omnigrok.plugin.progress import ProgressPrinter
from omnigrok.plugin.stash import KNOWN_BEFORE, SESSION
from omnigrok.plugin.training_cost import TrainingCost
from omnigrok.training.device import share_cores


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    config = cast("pytest.Config | None", pluginmanager.get_plugin("pytestconfig"))
    add_options(parser, config.invocation_params.args if config is not None else ())


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "claim(id): this test is the check of one claim of the paper; see the YAML file next to it",
    )
    # Not from the environment, which a pytest within a worker of another inherits.
    worker = worker_number(getattr(config, "workerinput", {}).get("workerid", ""))
    if config.getoption("audit_gpu") and worker is not None:
        assign_gpu(worker)
    config.pluginmanager.register(ProgressPrinter(config), "omnigrok-progress")
    config.pluginmanager.register(Notes(config), "omnigrok-notes")
    config.pluginmanager.register(words, "omnigrok-words")
    config.pluginmanager.register(items, "omnigrok-items")
    config.pluginmanager.register(outcomes, "omnigrok-outcomes")
    config.stash[KNOWN_BEFORE] = Known(config)
    config.pluginmanager.register(config.stash[KNOWN_BEFORE], "omnigrok-known")
    share_cores()
    read_options(config)
    if not hasattr(config, "workerinput"):
        check_paths(config)
        controller = Controller(config)
        config.pluginmanager.register(controller, "omnigrok-controller")
        config.pluginmanager.register(ExitStatus(controller), "omnigrok-exit-status")
        if on_github():
            config.pluginmanager.register(GitHub(controller), "omnigrok-github")
        if TrainingCost.wanted(config):
            config.pluginmanager.register(
                TrainingCost(config, outcome_of), "omnigrok-training-cost"
            )


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(SESSION, None)
    if session is not None:
        session.close()
