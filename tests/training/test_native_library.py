"""The library of the native step: how it is built and kept, and what happens without one."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnigrok.errors import BadInput
from omnigrok.run import Run
from omnigrok.training import Stack, native_library, train

pytestmark = pytest.mark.usefixtures("no_wish")


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and no attempt made; the folder first on PATH for compilers of one's own."""
    monkeypatch.setattr(native_library, "user_cache", lambda: tmp_path / "cache")
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.delenv("CXX", raising=False)
    native_library._attempt.cache_clear()
    yield tools
    native_library._attempt.cache_clear()


def broken_compiler(folder: Path) -> None:
    for name in ("g++", "clang++"):
        (folder / name).write_text("#!/bin/sh\necho this compiler is broken >&2\nexit 1\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("wish", ["", "1"])
def test_a_compiler_that_does_not_work_is_tried_once_and_named(
    unbuilt: Path,
    student: Run,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    wish: str,
) -> None:
    broken_compiler(unbuilt)
    if wish:
        monkeypatch.setenv("OMNIGROK_NATIVE", wish)
        with pytest.raises(
            BadInput,
            match=r"OMNIGROK_NATIVE=1: the native step cannot be built: .*this compiler is broken",
        ):
            Stack([student])
        return
    with caplog.at_level(logging.WARNING):
        (curves,) = train([student.replace(steps=3)])
        train([student.replace(steps=2)])
    assert len(curves.step) == 4
    (line,) = [
        record.getMessage() for record in caplog.records if "torch's step" in record.getMessage()
    ]
    assert "g++ ended with 1: this compiler is broken" in line


def test_without_a_compiler_torchs_step_is_taken(
    unbuilt: Path, student: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(unbuilt))
    assert Stack([student]).native is None
    assert native_library._attempt()[1] == "there is no C++ compiler"


def test_without_mkl_torchs_step_is_taken(
    unbuilt: Path, student: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_library.torch, "__file__", str(unbuilt / "__init__.py"))
    assert Stack([student]).native is None
    assert "comes without MKL" in native_library._attempt()[1]


def test_a_cache_that_cannot_be_written_is_a_reason(unbuilt: Path, student: Run) -> None:
    (unbuilt.parent / "cache").write_text("a file where a folder should be")
    assert Stack([student]).native is None
    assert native_library._attempt()[0] is None


def test_a_library_of_another_machine_is_a_reason(unbuilt: Path, student: Run) -> None:
    path = native_library.library_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no library")
    assert Stack([student]).native is None
    assert str(path) in native_library._attempt()[1]


@pytest.mark.usefixtures("native_step")
def test_it_is_built_once_and_kept_whole(unbuilt: Path) -> None:
    assert native_library._attempt()[0] is not None
    path = native_library.library_path()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert stat.S_ISREG(path.stat().st_mode)
    before = path.stat().st_mtime_ns
    native_library._attempt.cache_clear()
    assert native_library._attempt()[0] is not None
    assert path.stat().st_mtime_ns == before


def test_the_key_of_the_cache_knows_source_torch_and_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "step.cpp"
    source.write_text("// another")
    keys = {native_library.library_path()}
    for target, name, value in (
        (native_library, "SOURCE", source),
        (native_library.torch, "__version__", "9"),
        (native_library, "_processor", lambda: "another"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, value)
            keys.add(native_library.library_path())
    assert len(keys) == 4


@pytest.mark.parametrize("wish", ["yes", "2"])
def test_another_wish_is_refused(wish: str, student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_NATIVE", wish)
    with pytest.raises(BadInput, match=f"OMNIGROK_NATIVE={wish} is not accepted; 0 .* or 1"):
        Stack([student])


def test_it_can_be_switched_off(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    assert Stack([student]).native is None


@pytest.mark.usefixtures("native_step")
def test_too_little_memory_is_an_error(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack([student])
    assert stack.native is not None
    stack.feed.load(0, 1)
    stack.native.fixed["parameters"] = 2**55
    with pytest.raises(MemoryError, match="activations"):
        stack.native.train(stack.replicas, stack.feed, 1)
