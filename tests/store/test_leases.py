"""Leases: one holder a key, also in races; expiry; fencing tokens; dead processes and clocks that
jump.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omnigrok.curves import Curves
from omnigrok.errors import BadInput, StaleToken, StoreError
from omnigrok.store.leases import Leases, is_dead, new_owner
from omnigrok.store.store import Environment, Store

TTL = 60.0


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(store: Store, clock: Clock) -> Leases:
    return Leases(store, clock=clock)


def test_a_held_key_is_not_given_twice(leases: Leases, env: Environment) -> None:
    assert set(leases.acquire(["a", "b"], env, "one", TTL)) == {"a", "b"}
    assert set(leases.acquire(["a", "b", "c"], env, "two", TTL)) == {"c"}
    assert (
        leases.acquire(["a"], env, "one", TTL) == {}
    )  # not even to its holder: a second lease would fence out the first
    assert leases.holders(["a", "c", "d"], env) == {"a": "one", "c": "two"}


def test_keys_of_another_environment_are_others(leases: Leases, env: Environment) -> None:
    assert leases.acquire(["a"], env, "one", TTL)
    assert leases.acquire(["a"], Environment("other", "2.5", "cpu"), "two", TTL)


def test_tokens_rise_over_release_and_reopening(tmp_path: Path, env: Environment) -> None:
    seen = []
    for _ in range(3):
        with Store(tmp_path / "x.db") as store:
            leases = Leases(store)
            tokens = leases.acquire(["a", "b"], env, "one", TTL)
            leases.release(tokens)
            seen += tokens.values()
    assert seen == sorted(set(seen))


def test_whole_stack_or_none(leases: Leases, env: Environment) -> None:
    leases.acquire(["b"], env, "one", TTL)
    assert leases.acquire(["a", "b"], env, "two", TTL, whole=True) == {}
    assert set(leases.acquire(["a", "c"], env, "two", TTL, whole=True)) == {"a", "c"}


def test_a_key_with_a_result_is_not_leased(
    store: Store, leases: Leases, env: Environment, make_curves: Callable[..., Curves]
) -> None:
    done, open_ = make_curves(1), make_curves(2)
    tokens = leases.acquire([done.run], env, "one", TTL)
    assert store.put(done, env, tokens[done.run.digest])
    assert set(leases.acquire([done.run, open_.run], env, "two", TTL)) == {open_.run.digest}
    assert leases.holders([done.run], env) == {}


def test_expiry_and_heartbeat(leases: Leases, clock: Clock, env: Environment) -> None:
    tokens = leases.acquire(["a", "b"], env, "one", TTL)
    clock.now += 50
    assert leases.renew({"a": tokens["a"]}, TTL) == {"a": tokens["a"]}
    clock.now += 50
    later = leases.acquire(["a", "b"], env, "two", TTL)
    assert set(later) == {"b"}
    assert later["b"] > tokens["b"]
    assert leases.renew(tokens, TTL) == {"a": tokens["a"]}
    leases.release(tokens)  # the old token of b frees nothing
    assert leases.holders(["a", "b"], env) == {"b": "two"}


def test_a_lease_that_ran_out_counts_until_it_is_replaced(
    store: Store, leases: Leases, clock: Clock, env: Environment, make_curves: Callable[..., Curves]
) -> None:
    first, second = make_curves(1), make_curves(2)
    tokens = leases.acquire([first.run, second.run], env, "one", TTL)
    clock.now += 10 * TTL
    assert store.put(first, env, tokens[first.run.digest])
    new = leases.acquire([second.run], env, "two", TTL)
    with pytest.raises(StaleToken, match="nothing was written"):
        store.put(second, env, tokens[second.run.digest])
    with pytest.raises(StaleToken):
        store.checkpoint(second.run, env, tokens[second.run.digest], 5, b"state")
    assert store.get(second.run, env) is None
    assert store.load_checkpoint(second.run, env) is None
    assert store.put(second, env, new[second.run.digest])


@pytest.mark.parametrize("jump", [-1e9, -11 * TTL, 1e9])
def test_a_clock_that_jumps_blocks_nobody_for_long(
    leases: Leases, clock: Clock, env: Environment, jump: float
) -> None:
    leases.acquire(["a"], env, "one", TTL)
    clock.now += jump
    assert leases.acquire(["a"], env, "two", TTL)


def test_a_small_step_back_breaks_no_lease(leases: Leases, clock: Clock, env: Environment) -> None:
    leases.acquire(["a"], env, "one", TTL)
    clock.now -= 2 * TTL
    assert leases.acquire(["a"], env, "two", 1.0) == {}


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf")])
def test_a_ttl_that_never_ends_is_refused(leases: Leases, env: Environment, ttl: float) -> None:
    with pytest.raises(BadInput, match="ttl"):
        leases.acquire(["a"], env, "one", ttl)
    with pytest.raises(BadInput, match="ttl"):
        leases.renew({}, ttl)


def test_the_dead_of_this_host_are_known() -> None:
    mine = new_owner()
    assert not is_dead(mine)
    assert mine != new_owner()
    host, pid, start = mine.split(":")
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        other = f"{host}:{child.pid}:"
        child.wait()
    assert is_dead(other + start)
    assert not is_dead(other.replace(host, "elsewhere") + start)
    assert is_dead(f"{host}:{pid}:1-abcd")  # the number of a dead process, used again
    assert not is_dead("anything")
    assert not is_dead(f"{host}:x:y")


def test_a_killed_process_that_nobody_waited_for_is_dead() -> None:
    host = new_owner().split(":")[0]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = f"{host}:{child.pid}:"
        assert not is_dead(owner)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead now, and still a zombie
        assert is_dead(owner)


def test_a_dead_process_frees_its_keys_at_once(
    store: Store, env: Environment, start: Callable[..., subprocess.Popen[str]]
) -> None:
    source = """
import sys
import time
from omnigrok.store.leases import Leases, new_owner
from omnigrok.store.store import Environment, Store
with Store(sys.argv[1]) as store:
    here = Environment("fingerprint", "2.5", "cpu")
    print(Leases(store).acquire(["a"], here, new_owner(), 1e6), flush=True)
    sys.stdin.readline()
"""
    with start(source, store.path) as child:
        assert child.stdout is not None
        assert "a" in child.stdout.readline()
        assert Leases(store).acquire(["a"], env, "two", TTL) == {}
        child.kill()
    assert Leases(store).acquire(["a"], env, "two", TTL)


RACE = """
import json, sys, time
from omnigrok.store.leases import Leases, new_owner
from omnigrok.store.store import Environment, Store
path, start, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
keys = [f"{n:03d}" for n in range(60)]
keys = keys[seed:] + keys[:seed]
time.sleep(max(0, start - time.time()))
won = {}
with Store(path) as store:
    leases, owner = Leases(store), new_owner()
    for place in range(0, 60, 3):
        here = Environment("fingerprint", "2.5", "cpu")
        won |= leases.acquire(keys[place:place + 3], here, owner, 60)
    print(json.dumps(won), flush=True)
    sys.stdin.readline()  # stay alive: the dead hold nothing
"""


def test_racing_processes_win_each_key_once(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Four workers that also race to make the file."""
    begin = time.time() + 0.7
    workers = [start(RACE, tmp_path / "new" / "race.db", begin, seed * 15) for seed in range(4)]
    won = []
    try:
        for worker in workers:
            assert worker.stdout is not None
            won.append(json.loads(worker.stdout.readline()))
    finally:
        for worker in workers:
            worker.communicate("\n", timeout=20)
    assert [worker.returncode for worker in workers] == [0] * 4
    keys = [key for tokens in won for key in tokens]
    assert sorted(keys) == [f"{n:03d}" for n in range(60)]
    assert len({token for tokens in won for token in tokens.values()}) == 60


def test_a_closed_disk_leases_nothing(tmp_path: Path, env: Environment) -> None:
    Store(tmp_path / "x.db").close()
    with Store(tmp_path / "x.db", readonly=True) as store:
        with pytest.raises(StoreError, match="cannot be written"):
            Leases(store).acquire(["a"], env, "one", TTL)
        assert Leases(store).holders(["a"], env) == {}
