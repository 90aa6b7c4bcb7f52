from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.errors import BadInput
from omnigrok.evidence.reading import read
from omnigrok.run import CONSTRAINTS, LATER, LOSSES, PRECISIONS, Run, freeze
from omnigrok.training.calendar import log_steps

EVIDENCE = Path(__file__).parents[1] / "claims" / "evidence"
RUN = Run(task="mnist", model="mlp", seed=3, n_train=1000, steps=10, lr=1e-3)

scalars = st.one_of(
    st.text(max_size=5),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
options = st.dictionaries(
    st.text(min_size=1, max_size=5), st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=4
)
positive = st.floats(1e-6, 1e6)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    return Run(
        task=draw(st.sampled_from(["mnist", "somebody.task"])),
        model="mlp",
        seed=draw(st.integers(0, 10**6)),
        n_train=draw(st.integers(1, 10**6)),
        steps=draw(st.integers(1, 10**6)),
        lr=draw(positive),
        alpha=draw(positive),
        weight_decay=draw(positive),
        loss=draw(st.sampled_from(LOSSES)),
        constraint=draw(st.sampled_from(CONSTRAINTS)),
        precision=draw(st.sampled_from(PRECISIONS)),
        lr_drops=tuple(draw(st.lists(st.integers(1, 100), max_size=3))),
        data=freeze(draw(options)),
        network=freeze(draw(options)),
        stop_at=draw(
            st.dictionaries(
                st.sampled_from(["train_acc", "test_acc", "test_acc_code"]),
                st.floats(1e-3, 1.0),
                max_size=3,
            )
        ),  # type: ignore[arg-type]
    )


# Identity


def test_digest_is_stable_across_versions() -> None:
    """Recorded evidence is found by it: whoever changes it makes every record unreachable."""
    assert RUN.digest == "4819cd099fadaca6549dd9b8cf4b8285"


def test_recorded_digests_are_those_of_today() -> None:
    """A field that came later leaves the digest of every recorded Run as it was."""
    paths = sorted(EVIDENCE.glob("*.parquet"), key=lambda path: path.stat().st_size)[:12]
    assert len(paths) == 12
    for path in paths:
        listing = json.loads(pq.read_metadata(path).metadata[b"omnigrok.runs"])
        assert [each["digest"] for each in listing["each"]] == [run.digest for run in read(path)]


def test_a_field_that_came_later_is_left_out_at_its_default() -> None:
    assert not set(LATER) & set(RUN.as_dict())
    assert RUN.replace(stop_at={}) == RUN
    stopping = RUN.replace(stop_at={"test_acc": 1, "train_acc": 0.5})
    assert stopping.as_dict()["stop_at"] == {"test_acc": 1.0, "train_acc": 0.5}
    assert stopping == RUN.replace(stop_at={"train_acc": 0.5, "test_acc": 1.0})


@settings(deadline=None)
@given(runs())
def test_a_run_survives_json(run: Run) -> None:
    again = Run.from_dict(json.loads(json.dumps(run.as_dict())))
    assert again == run
    assert again.digest == run.digest
    assert hash(again) == hash(run)


@settings(deadline=None)
@given(runs())
def test_the_order_of_options_does_not_matter(run: Run) -> None:
    backwards = run.replace(data=dict(reversed(run.data)), network=dict(reversed(run.network)))
    assert backwards == run
    assert backwards.digest == run.digest


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Run)])
def test_every_field_is_part_of_the_digest(name: str) -> None:
    other = {
        "loss": "cross_entropy",
        "constraint": "tangent",
        "precision": "float64",
        "loss_precision": "float64",
        "betas": (0.8, 0.9),
        "lr_drops": (1,),
        "log_ratio": 0.5,
        "data": {"a": 1},
        "network": {"a": 1},
        "task": "imdb",
        "model": "lstm",
        "stop_at": {"test_acc": 0.5},
    }
    changed = RUN.replace(**{name: other.get(name, 7)})
    assert changed != RUN
    assert changed.digest != RUN.digest


def test_whole_numbers_are_floats_where_the_field_is_one() -> None:
    one, other = (
        RUN.replace(lr=1, alpha=2, weight_decay=0, betas=(0, 0.5)),
        RUN.replace(lr=1.0, alpha=2.0, betas=(0.0, 0.5)),
    )
    assert one == other
    assert one.digest == other.digest


def test_equal_runs_have_equal_digests() -> None:
    one, other = RUN.replace(data={"x": 1}), RUN.replace(data={"x": 1.0})
    assert (one == other) is (one.digest == other.digest)


def test_a_run_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RUN.lr = 1.0  # type: ignore[misc]


# What is accepted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 1.0),
        ("seed", True),
        ("seed", 2**48 + 1),
        ("n_train", 0),
        ("n_train", "10"),
        ("steps", 0),
        ("steps", 10**400),
        ("lr", 0.0),
        ("lr", math.nan),
        ("lr", "fast"),
        ("alpha", -1.0),
        ("alpha", math.inf),
        ("weight_decay", -0.1),
        ("batch_size", -1),
        ("loss", "hinge"),
        ("constraint", "held"),
        ("precision", "float16"),
        ("loss_precision", "tf32"),
        ("log_ratio", 0.0),
        ("log_ratio", 1.5),
        ("log_every", -1),
        ("clip", math.nan),
        ("stop_at", {"test_acc": 0.0}),
        ("stop_at", {"test_acc": 1.5}),
        ("stop_at", {"test_acc": math.nan}),
        ("stop_at", {"test_acc": True}),
        ("stop_at", {"test_acc": "high"}),
        ("stop_at", {"test_loss": 0.5}),
    ],
)
def test_a_value_that_is_not_accepted_is_named(name: str, value: object) -> None:
    with pytest.raises(BadInput, match=f"Run: {name} = .* is not accepted; "):
        RUN.replace(**{name: value})


@pytest.mark.parametrize("log", [{"log_every": 1}, {"log_ratio": 1e-12}])
def test_more_logged_steps_than_memory_holds(log: dict[str, float]) -> None:
    with pytest.raises(
        BadInput,
        match=f"Run: {next(iter(log))} = .* is not accepted; log at most 1000000 of the steps",
    ):
        RUN.replace(steps=10**9, **log)
    assert RUN.replace(steps=10**9).steps == 10**9


@given(steps=st.integers(1, 10**7), ratio=st.floats(1e-3, 1.0), every=st.integers(0, 2000))
def test_the_bound_of_logged_steps_is_one(steps: int, ratio: float, every: int) -> None:
    run = RUN.replace(
        steps=steps, log_ratio=ratio, log_every=every and max(every, steps // 100_000)
    )
    assert len(log_steps(run)) <= run._logged()


def test_the_message_lists_the_words_that_are_accepted() -> None:
    with pytest.raises(
        BadInput,
        match="'held' is not accepted; one of free, rescale, rescale_double, published, tangent",
    ):
        RUN.replace(constraint="held")


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="unknown key 'learning_rate'; accepted: task, model, seed"):
        Run.from_dict({**RUN.as_dict(), "learning_rate": 1.0})


def test_a_missing_key_is_named() -> None:
    fields = RUN.as_dict()
    del fields["lr"]
    with pytest.raises(BadInput, match="missing key 'lr'"):
        Run.from_dict(fields)


def test_keys_with_a_default_can_be_left_out() -> None:
    assert (
        Run.from_dict(
            {"task": "mnist", "model": "mlp", "seed": 3, "n_train": 1000, "steps": 10, "lr": 1e-3}
        )
        == RUN
    )


# Options


def test_options_are_frozen_lists_included() -> None:
    assert freeze({"b": [1, 2], "a": None}) == (("a", None), ("b", (1, 2)))


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], object()])
def test_options_are_scalars_or_flat_lists(value: object) -> None:
    with pytest.raises(BadInput, match="option 'x' must be a scalar or a flat list of scalars"):
        freeze({"x": value})


def test_an_option_of_the_data_goes_before_one_of_the_network() -> None:
    run = RUN.replace(data={"vocabulary": 5}, network={"vocabulary": 7, "hidden": 2})
    assert run.option("vocabulary") == 5
    assert run.option("hidden") == 2
    assert run.option("absent") is None
    assert run.option("absent", 4) == 4
