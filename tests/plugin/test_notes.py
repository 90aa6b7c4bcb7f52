"""A compiler that does not work is named once in the summary of warnings, and fails nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

BODY = (
    'case.judge([mean_in_region("loss", case.grid().where(alpha=2.0).per_seed(lambda c: '
    'float(c["train_loss"][0])), case.region("mean"))])'
)


@pytest.mark.parametrize(
    "options", [("-n", "0"), ("-n", "0", "-W", "error"), ("-n", "2")], ids=" ".join
)
def test_a_broken_compiler_is_named_once_and_training_goes_on(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("g++", "clang++"):
        (tools / name).write_text("#!/bin/sh\necho this compiler is broken >&2\nexit 1\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    toy.add("good", experiments="[tiny]", body=BODY)
    toy.write()
    toy.pytester.makeconftest(
        'pytest_plugins = ["omnigrok.plugin.plugin"]\nfrom omnigrok.training import '
        "native_library\nnative_library._attempt.cache_clear()\n"
    )
    done = toy.start(*options)
    lines = [
        line
        for line in done.outlines
        if "UserWarning: omnigrok" in line and "this compiler is broken" in line
    ]
    assert len(lines) == 1
    assert "trains small networks with torch's step" in lines[0]
    assert any(line.startswith("toy.good") for line in done.outlines)
