from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from omnigrok.errors import BadInput
from omnigrok.training import device
from omnigrok.training.device import (
    ANY_SHAPE_BELOW,
    COMPILE_FROM,
    SHAPES,
    arithmetic,
    choose_device,
    compile_any_shape,
    cores,
    describe,
    is_out_of_memory,
    memory_share,
    quiet_compiler,
    share_compiler,
    share_cores,
    should_compile,
    workers,
)

CPU = torch.device("cpu")


def test_the_cpu_is_the_default() -> None:
    assert choose_device(gpu=False) == torch.device("cpu")
    assert describe(torch.device("cpu")) == "cpu"


def test_a_gpu_that_is_not_there_is_an_error_and_never_a_silent_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match=r"--gpu: torch .* sees no CUDA device; run without --gpu"):
        choose_device(gpu=True)


def test_a_gpu_is_used_and_named_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA T4")
    assert describe(choose_device(gpu=True)) == "NVIDIA T4"


def flushed() -> bool:
    return float((torch.tensor([1e-38]) * 1e-3).sum()) == 0


def test_denormals_are_flushed_while_a_stack_trains_and_only_then() -> None:
    assert not flushed()
    with arithmetic("float32", torch.device("cpu")):
        assert flushed()
        with arithmetic("float64", torch.device("cpu")):
            assert flushed()
        assert flushed()
    assert not flushed()


def test_denormals_are_kept_again_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), arithmetic("float32", torch.device("cpu")):
        1 / 0  # noqa: B018
    assert not flushed()


@pytest.mark.parametrize(
    ("precision", "wanted"), [("tf32", "high"), ("float32", "highest"), ("float64", "highest")]
)
def test_only_tf32_rounds_factors_to_tf32(precision: str, wanted: str) -> None:
    before = torch.get_float32_matmul_precision()
    with arithmetic(precision, torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == wanted
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("set_before", ["medium", "high", "highest"])
@pytest.mark.parametrize("precision", ["float32", "float64", "tf32"])
def test_a_cpu_multiplies_exactly_whatever_is_set(precision: str, set_before: str) -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(set_before)
        with arithmetic(precision, torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == set_before
    finally:
        torch.set_float32_matmul_precision(before)


def test_short_trainings_share_one_compiled_update() -> None:
    assert compile_any_shape(COMPILE_FROM)
    assert not compile_any_shape(ANY_SHAPE_BELOW)


def test_the_compiler_has_room_for_many_shapes() -> None:
    before = torch._dynamo.config.recompile_limit
    with quiet_compiler():
        assert torch._dynamo.config.recompile_limit == SHAPES > before
    assert torch._dynamo.config.recompile_limit == before


@pytest.mark.parametrize(
    ("wish", "compilable", "answer"), [("1", True, True), ("1", False, False), ("0", True, False)]
)
def test_the_environment_overrides_but_not_what_a_model_says(
    monkeypatch: pytest.MonkeyPatch, wish: str, compilable: bool, answer: bool
) -> None:
    monkeypatch.setenv("OMNIGROK_COMPILE", wish)
    for operations in (0.0, 1e20):
        assert should_compile(operations, compilable, CPU) is answer


@pytest.mark.parametrize(
    ("operations", "compilable", "works", "answer"),
    [
        (COMPILE_FROM, True, True, True),
        (COMPILE_FROM, False, True, False),
        (COMPILE_FROM / 2, True, True, False),
        (COMPILE_FROM, True, False, False),
    ],
)
def test_compiling_where_it_pays_and_can_be_done(
    monkeypatch: pytest.MonkeyPatch, operations: float, compilable: bool, works: bool, answer: bool
) -> None:
    monkeypatch.delenv("OMNIGROK_COMPILE", raising=False)
    monkeypatch.setattr(device, "compiler_works", lambda where: works)
    assert should_compile(operations, compilable, CPU) is answer


BROKEN = """
import logging, sys
import torch
from omnigrok.training import device
logging.basicConfig(stream=sys.stdout, format="%(message)s")
for _ in range(2):
    print("compiles:", device.should_compile(device.COMPILE_FROM, True, torch.device("cpu")))
"""


@pytest.mark.parametrize("works", [True, False])
def test_a_compiler_is_tried_once_and_one_that_does_not_work_is_named_in_one_line(
    tmp_path: Path, works: bool
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in () if works else ("g++", "clang++"):
        (tools / name).write_text("#!/bin/sh\necho this compiler is broken >&2\nexit 1\n")
        (tools / name).chmod(0o755)
    kept = {
        name: value for name, value in os.environ.items() if name not in ("CXX", "OMNIGROK_COMPILE")
    }
    given = {
        **kept,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BROKEN],
        env=given,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.strip().splitlines()
    assert [line for line in lines if line.startswith("compiles:")] == [f"compiles: {works}"] * 2
    said = [line for line in lines if "without torch.compile" in line]
    assert len(said) == (0 if works else 1)


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning, UserWarning])
def test_torchs_own_warnings_are_silent_and_others_are_not(category: type[Warning]) -> None:
    with quiet_compiler():
        warnings.warn_explicit("old", category, "f.py", 1, module="torch._inductor.utils")
        with pytest.raises(category, match="mine"):
            warnings.warn_explicit("mine", category, "f.py", 1, module="omnigrok.training.stack")
    with pytest.raises(category, match="again"):
        warnings.warn_explicit("again", category, "f.py", 1, module="torch._inductor.utils")


# Sharing a machine


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("count", "wanted"), [("2", 4), ("3", 2), ("8", 1), ("20", 1)])
def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch, count: str, wanted: int) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", count)
    monkeypatch.setattr("omnigrok.training.device.cores", lambda: 8)
    torch.set_num_threads(8)
    share_cores()
    assert torch.get_num_threads() == wanted


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("quota", "wanted"), [(math.inf, 8), (20.0, 8), (3.9, 3), (1.0, 1), (0.5, 1)]
)
def test_one_process_has_the_cores_that_its_container_pays_for(
    monkeypatch: pytest.MonkeyPatch, quota: float, wanted: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    monkeypatch.setattr("omnigrok.training.device.cpu_quota", lambda: quota)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert cores() == wanted
    torch.set_num_threads(8)
    share_cores()
    assert torch.get_num_threads() == wanted


@pytest.mark.parametrize(("set_before", "wanted"), [(None, 2), ("7", 9)])
def test_the_compiler_starts_no_more_processes_than_there_are_cores_for_this_worker(
    monkeypatch: pytest.MonkeyPatch, set_before: str | None, wanted: int
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_COMPILE_THREADS", raising=False)
    if set_before is not None:
        monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", set_before)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "4")
    monkeypatch.setattr("omnigrok.training.device.cores", lambda: 8)
    config = importlib.import_module("torch._inductor.config")
    with config.patch(compile_threads=9):
        share_compiler()
        assert config.compile_threads == wanted


@pytest.mark.usefixtures("threads")
def test_one_process_and_whoever_has_set_the_threads_keep_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.set_num_threads(3)
    monkeypatch.setattr("omnigrok.training.device.cores", lambda: 8)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share_cores()
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "4")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    share_cores()
    assert torch.get_num_threads() == 3


def test_one_worker_has_all_the_memory_that_stacks_may_take_and_four_a_quarter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    assert (workers(), cores() >= 1) == (1, True)
    alone = memory_share(torch.device("cpu"))
    assert 2**27 < alone < 2**50
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "4")
    assert memory_share(torch.device("cpu")) == alone / 4


@pytest.mark.parametrize("count", ["1", "4"])
def test_a_stack_may_take_the_memory_of_a_whole_card_however_many_workers_there_are(
    monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    """By its size, which all workers read alike, not by what is free at the moment; only the two
    questions to CUDA are stood in for.
    """
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 100))
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", count)
    assert memory_share(torch.device("cuda")) == pytest.approx(80.0)


def behind(error: Exception, other: Exception) -> Exception:
    other.__context__ = error
    return other


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (
            RuntimeError(
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
            ),
            True,
        ),
        (behind(torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("capture")), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (behind(ValueError("x"), RuntimeError("capture")), False),
        (None, False),
    ],
)
def test_a_gpu_that_had_too_little_memory_is_told_from_other_errors(
    error: Exception | None, answer: bool
) -> None:
    assert is_out_of_memory(error) is answer
