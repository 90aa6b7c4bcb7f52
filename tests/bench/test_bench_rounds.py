from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from omnigrok.bench import rounds
from omnigrok.bench.families import FAMILIES, Variant
from omnigrok.bench.rounds import in_turns, layer_rate, tensor_bytes, time_family
from omnigrok.errors import DataMissing

CPU = torch.device("cpu")
TINY = dataclasses.replace(
    FAMILIES["teacher-student"],
    run=FAMILIES["teacher-student"].run.replace(
        network={"widths": (5, 4, 5), "activation": "tanh"}
    ),
    sizes={"cpu": (1, 2)},
    by_hand=2,
    jax=(),
    layers=((10, 5, 4), (10, 4, 5)),
)


def test_all_have_their_turn_before_any_has_the_next() -> None:
    order: list[str] = []
    work = [lambda: order.append("a"), lambda: order.append("b"), lambda: order.append("c")]
    seconds = in_turns(work, 3, CPU)
    assert "".join(order) == "abcabcabc"
    assert [len(each) for each in seconds] == [3, 3, 3]
    assert all(second >= 0 for each in seconds for second in each)


def test_each_is_timed_for_itself() -> None:
    quick, slow = in_turns([lambda: None, lambda: time.sleep(0.02)], 2, CPU)
    assert max(quick) < 0.02 <= min(slow)


def test_a_family_has_a_timing_for_every_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.01)
    timings = time_family(TINY, CPU, Path(), rounds=3)
    assert list(timings) == ["plain", "on device", "torch.func", "stack 1", "stack 2"]
    assert [timing.replicas for timing in timings.values()] == [1, 1, 2, 1, 2]
    for timing in timings.values():
        assert not timing.failure
        assert len(timing.seconds) == 3
        assert timing.start > 0
        assert timing.steps >= 1


@pytest.mark.parametrize(
    "error",
    [DataMissing("imdb: not here"), ImportError("no such package"), RuntimeError("torch refuses")],
    ids=str,
)
def test_what_cannot_be_built_carries_its_reason_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def missing() -> Callable[[int], None]:
        raise error

    pair = [
        Variant("plain", 1, missing),
        Variant("on device", 1, lambda: lambda steps: time.sleep(0.001 * steps)),
    ]
    monkeypatch.setattr(rounds, "variants", lambda *given: pair)
    timings = time_family(TINY, CPU, Path(), rounds=2)
    assert timings["plain"].failure == f"{type(error).__name__}: {error}"
    assert timings["plain"].seconds == ()
    assert len(timings["on device"].seconds) == 2


def test_a_bug_is_not_taken_for_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Callable[[int], None]:
        raise ZeroDivisionError

    monkeypatch.setattr(rounds, "variants", lambda *given: [Variant("plain", 1, broken)])
    with pytest.raises(ZeroDivisionError):
        time_family(TINY, CPU, Path())


def test_rounds_are_about_as_long_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.05)
    taken: list[int] = []

    def make() -> Callable[[int], None]:
        return lambda steps: (taken.append(steps), time.sleep(0.005 * steps))[1]

    monkeypatch.setattr(rounds, "variants", lambda *given: [Variant("plain", 1, make)])
    timing = time_family(TINY, CPU, Path(), rounds=2)["plain"]
    assert 5 <= timing.steps <= 10
    assert taken[-2:] == [timing.steps] * 2


def test_memory_that_comes_and_goes_is_seen() -> None:
    total, most, left = tensor_bytes(lambda: torch.ones(25_000_000).sum(), CPU)
    assert float(total) == 25_000_000
    assert 1e8 <= most < 1.01e8
    assert left == 4


def test_memory_that_stays_is_told_from_what_goes() -> None:
    kept, most, left = tensor_bytes(lambda: [torch.ones(1000) * 2 for _ in range(10)], CPU)
    assert len(kept) == 10
    assert left == 40_000
    assert 44_000 <= most < 50_000


def test_a_larger_stack_needs_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.0)
    family = dataclasses.replace(TINY, sizes={"cpu": (1, 4)})
    timings = time_family(family, CPU, Path(), rounds=1)
    assert timings["stack 4"].peak_bytes == pytest.approx(
        4 * timings["stack 1"].peak_bytes, rel=0.1
    )


def test_the_rate_of_layers_is_operations_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "best_seconds", lambda work, device, seconds: work() is None or 0.5)
    assert layer_rate(TINY, 3, CPU) == pytest.approx(6 * 3 * (10 * 5 * 4) * 2 / (6 * 0.5))
