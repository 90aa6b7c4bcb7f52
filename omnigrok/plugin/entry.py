"""What pytest loads by itself (entry point ``pytest11``): the options and, where the session has to
do with claims, the rest of the plugin.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from omnigrok.plugin.command_line import add_options

PLUGIN = "omnigrok.plugin.plugin"


@pytest.hookimpl(trylast=True)
def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """After other plugins, so that the short names they have are left to them."""
    config = cast("pytest.Config | None", pluginmanager.get_plugin("pytestconfig"))
    add_options(parser, config.invocation_params.args if config is not None else ())


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load the plugin where a folder with figure files is among what is tested, or one level
    below it.
    """
    if config.pluginmanager.has_plugin(PLUGIN) or not any(map(_has_claims, config.args)):
        return
    config.pluginmanager.import_plugin(PLUGIN)


def _has_claims(argument: str) -> bool:
    path = Path(argument.partition("::")[0])
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        return False
    below = [each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")]
    return any(
        (each / f"test_{file.stem}.py").exists()
        for each in (folder, *below)
        for file in each.glob("*.yaml")
    )
