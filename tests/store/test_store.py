"""The store keeps each result once and whole, and says in one message what is wrong with a file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from omnigrok.curves import Curves
from omnigrok.errors import StaleToken, StoreError
from omnigrok.store.leases import Leases
from omnigrok.store.store import Environment, Store

Make = Callable[..., Curves]
Same = Callable[[Curves, Curves], bool]
OTHER = Environment("fingerprint", "2.6", "cpu")


def lease(store: Store, env: Environment, *results: Curves) -> dict[str, int]:
    return Leases(store).acquire([curves.run for curves in results], env, "me", 60)


def test_a_result_comes_back(store: Store, env: Environment, make_curves: Make, same: Same) -> None:
    curves = make_curves(1)
    token = lease(store, env, curves)[curves.run.digest]
    assert store.get(curves.run, env) is None
    assert store.put(curves, env, token) is True
    back = store.get(curves.run, env)
    assert back is not None
    assert same(back, curves)
    assert store.get(curves.run, OTHER) is None
    assert store.get(make_curves(2).run, env) is None
    assert store.count() == 1
    assert store.problems() == []


def test_a_second_result_is_refused_quietly(
    store: Store, env: Environment, make_curves: Make
) -> None:
    curves = make_curves(1)
    token = lease(store, env, curves)[curves.run.digest]
    assert store.put(curves, env, token)
    assert store.put(make_curves(1, points=3), env, token) is False
    back = store.get(curves.run, env)
    assert back is not None
    assert back.step.size == curves.step.size
    assert store.count() == 1


def test_one_stale_token_stops_the_whole_batch(
    store: Store, env: Environment, make_curves: Make
) -> None:
    batch = [make_curves(seed) for seed in range(4)]
    tokens = lease(store, env, *batch[:3])
    with pytest.raises(StaleToken, match=r"no longer leased.*nothing was written"):
        store.put_many(batch, env, tokens)
    with pytest.raises(StaleToken, match="token None"):
        store.checkpoint_many([(curves.run, 1, b"x") for curves in batch], env, tokens)
    with pytest.raises(StaleToken, match="the lease has token"):
        store.put(batch[0], env, tokens[batch[1].run.digest])
    assert store.count() == 0
    assert store.load_checkpoint(batch[0].run, env) is None
    assert store.put_many(batch[:3], env, tokens) == set(tokens)


def test_many(store: Store, env: Environment, make_curves: Make, same: Same) -> None:
    batch = [
        make_curves(seed, points=2) for seed in range(600)
    ]  # more than one batch of parameters
    runs = [curves.run for curves in batch]
    assert len(store.put_many(batch[:590], env, lease(store, env, *batch))) == 590
    assert store.has_many(runs, env) == {run.digest for run in runs[:590]}
    assert store.has_many(runs, OTHER) == set()
    assert len(store.has_many(runs, None)) == 590
    found = store.get_many(runs, env)
    assert len(found) == 590
    assert all(same(found[curves.run.digest], curves) for curves in batch[:590])
    listed = list(store.records())
    assert [run for run, _, _ in listed] == runs[:590]
    assert {where for _, where, _ in listed} == {env}
    assert store.seconds_of(runs) == {run.digest: float(run.seed) for run in runs[:590]}
    assert store.seconds_of(runs, OTHER) == {}


def test_records_may_be_added_while_they_are_listed(
    store: Store, env: Environment, make_curves: Make
) -> None:
    store.adopt([(make_curves(0), env)])
    listed = 0
    for listed, _ in enumerate(store.records(), start=1):
        if listed < 5:
            store.adopt([(make_curves(listed), env)])
    assert listed == 5


def test_the_newest_result_of_another_environment_is_the_stale_one(
    store: Store, env: Environment, make_curves: Make
) -> None:
    curves = make_curves(1)
    assert store.get_stale(curves.run, env) is None
    third = Environment("older", "2.4", "cuda")
    store.adopt(
        [(curves, third), (make_curves(1, points=3), OTHER), (make_curves(1, points=4), env)]
    )
    stale = store.get_stale(curves.run, env)
    assert stale is not None
    assert stale[1] == OTHER
    assert stale[0].step.size == 3
    newest = store.get_stale(curves.run)
    assert newest is not None
    assert newest[1] == env


def test_environments_differ_in_every_field() -> None:
    keys = {
        Environment(*parts).key
        for parts in [
            ("a", "b", "c"),
            ("x", "b", "c"),
            ("a", "x", "c"),
            ("a", "b", "x"),
            ("ab", "", "c"),
        ]
    }
    assert len(keys) == 5
    assert all(len(key) == 16 for key in keys)


def test_a_checkpoint_is_replaced_and_goes_with_the_result(
    store: Store, env: Environment, make_curves: Make
) -> None:
    curves = make_curves(1)
    token = lease(store, env, curves)[curves.run.digest]
    assert store.load_checkpoint(curves.run, env) is None
    store.checkpoint(curves.run, env, token, 10, b"ten")
    store.checkpoint(curves.run, env, token, 20, bytes(200_000))
    assert store.load_checkpoint(curves.run, env) == (20, bytes(200_000))
    assert store.load_checkpoint(curves.run, OTHER) is None
    assert store.put(curves, env, token)
    assert store.load_checkpoint(curves.run, env) is None
    with pytest.raises(StaleToken):
        store.checkpoint(curves.run, env, token, 30, b"late")


def test_a_damaged_checkpoint_starts_over(
    store: Store, env: Environment, make_curves: Make
) -> None:
    curves = make_curves(1)
    store.checkpoint(curves.run, env, lease(store, env, curves)[curves.run.digest], 10, b"ten")
    with store.writing() as db:
        db.execute("UPDATE checkpoints SET state = x'00'")
    assert store.load_checkpoint(curves.run, env) is None


@pytest.mark.parametrize(
    "change",
    [
        "record = substr(record, 1, 50)",
        "fingerprint = 'forged'",
        "sha256 = x'00'",
        "record = 7",
        "record = 'text'",
    ],
)
def test_a_changed_record_is_an_error_not_a_result(
    store: Store, env: Environment, make_curves: Make, change: str
) -> None:
    store.adopt([(make_curves(1), env), (make_curves(2), env)])
    with store.writing() as db:
        db.execute(f"UPDATE results SET {change} WHERE id = 1")
    with pytest.raises(StoreError, match=r"runs.db: the record of run .* is damaged .*salvage"):
        store.get(make_curves(1).run, env)
    assert store.get(make_curves(2).run, env) is not None
    assert len(store.problems()) == 1


def test_an_exception_writes_nothing(store: Store, env: Environment, make_curves: Make) -> None:
    def interrupted() -> None:
        with store.writing() as db:
            db.execute("UPDATE last_token SET token = 99")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with store.reading() as db:
        assert db.execute("SELECT token FROM last_token").fetchone() == (0,)
    bad = Curves(make_curves(2).run, make_curves(2).step, {}, provenance={"bad": object()})
    with pytest.raises(StoreError, match="cannot be recorded: only JSON"):
        store.adopt([(make_curves(1), env), (bad, env)])
    assert store.count() == 0
