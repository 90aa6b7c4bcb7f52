"""SIGKILL at any moment: every committed run is whole, and the interrupted one goes on from its
checkpoint.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import store_fixtures

from omnigrok.curves import Curves
from omnigrok.errors import StoreError
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.training import train

Make = Callable[..., Curves]
Start = Callable[..., "subprocess.Popen[str]"]
Same = Callable[[Curves, Curves], bool]

WRITER = """
import sys
sys.path.insert(0, sys.argv[3])
from store_fixtures import _curves
from omnigrok.store.leases import Leases, new_owner
from omnigrok.store.store import Environment, Store
env = Environment("fingerprint", "2.5", "cpu")
with Store(sys.argv[1]) as store:
    leases, owner, seed = Leases(store), new_owner(), 0
    while True:
        seed += 1
        curves = _curves(seed, points=300)
        tokens = leases.acquire([curves.run], env, owner, 3600)
        if not tokens:
            continue
        token, last = tokens[curves.run.digest], store.load_checkpoint(curves.run, env)
        first = last[0] if last else 0
        for step in range(first, 3):
            store.checkpoint(curves.run, env, token, step + 1, bytes([step + 1]) * 50_000)
            print("checkpoint", seed, step + 1, "after", first, flush=True)
            if sys.argv[2] == "wait" and step == 1:
                sys.stdin.readline()
        store.put(curves, env, token)
        print("put", seed, flush=True)
"""


@pytest.mark.fault("SIGKILL while writing")
def test_killed_writers_leave_every_committed_run_whole(
    tmp_path: Path,
    env: Environment,
    make_curves: Make,
    same: Same,
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    """Every committed result is whole; the next process takes the dead one's leases at once and
    goes on from its checkpoints.
    """
    path = tmp_path / "runs.db"
    put: set[int] = set()
    steps: dict[int, int] = {}
    resumed = 0
    for kill in range(10):
        with start(
            WRITER,
            path,
            "wait" if kill % 2 == 0 else "run",
            Path(store_fixtures.__file__).parent,
        ) as writer:
            assert writer.stdout is not None
            lines = [next(writer.stdout)]  # it has begun
            while kill % 2 == 0 and lines[-1].split()[2:3] != ["2"]:
                lines.append(next(writer.stdout))
            time.sleep(random.Random(kill).uniform(0, 0.1))  # noqa: S311
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.read().splitlines()
        assert writer.returncode == -signal.SIGKILL
        begun = set()
        for kind, seed, *rest in (line.split() for line in lines):
            if kind == "put":
                put.add(int(seed))
            else:
                if int(seed) not in begun and int(seed) in steps:
                    assert (
                        int(rest[2]) >= steps[int(seed)]
                    )  # nothing that was acknowledged is trained again
                    resumed += 1
                begun.add(int(seed))
                steps[int(seed)] = int(rest[0])
        with Store(path) as store:
            assert store.problems() == []
            found = {run.seed: curves for run, _, curves in store.records()}
        assert put <= set(found)
        assert all(same(curves, make_curves(seed, points=300)) for seed, curves in found.items())
    assert len(put) >= 3
    assert resumed >= 4
    assert sorted(found) == list(range(1, len(found) + 1))


# A process that has imported torch and taken its slow first steps once, and forks a trainer for
# each line it reads: fifty kills then cost fifty forks, not fifty imports.
NURSERY = """
import json, os, sys
import torch
from itertools import count
from pathlib import Path
from omnigrok.run import Run
from omnigrok.execution import execute
from omnigrok.execution.engines import LocalEngine
from omnigrok.store.store import Store
from omnigrok.training import train
execute.HEARTBEAT = execute.CHECKPOINT_EVERY = 0.0
FORM = Run.from_dict(json.loads(sys.argv[2]))
def trainer():
    with Store(sys.argv[1]) as store:
        for block in count():
            seeds = range(3 * block, 3 * block + 3)
            runs = [FORM.replace(seed=seed, n_train=n) for seed in seeds for n in (8, 10)]
            executor = execute.Executor(store, LocalEngine(torch.device("cpu"), Path()), runs)
            executor.ensure(runs)
train([FORM.replace(steps=50)])
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            trainer()
        finally:
            os._exit(1)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def form(toy: Run) -> Run:
    return toy.replace(steps=1500, log_every=50)


def recorded(path: Path) -> int:
    """Results in a store that another process writes; 0 before there is one."""
    if not path.exists():
        return 0
    try:
        with Store(path, readonly=True) as store:
            return store.count()
    except StoreError:  # being made
        return 0


@pytest.mark.fault("SIGKILL at random moments")
def test_trainers_killed_fifty_times_end_as_uninterrupted_ones(
    tmp_path: Path, start: Start, form: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command goes on; after fifty kills every run is recorded once, with the curves of an
    uninterrupted training.
    """
    kills, path = 50, tmp_path / "runs.db"
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")
    moments = random.Random(kills)  # noqa: S311
    before: dict[str, bytes] = {}
    waiting = 0
    with start(NURSERY, path, json.dumps(form.as_dict())) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        longest = 0.0
        for kill in range(kills):
            print(file=nursery.stdin, flush=True)
            child = int(nursery.stdout.readline())
            if kill == 0:  # how long some runs take on this machine, as busy as it is
                began = time.monotonic()
                while recorded(path) < 2:
                    os.kill(child, 0)  # it lives
                    time.sleep(0.05)
                longest = time.monotonic() - began
            else:
                time.sleep(moments.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
            assert (
                int(nursery.stdout.readline()) == -signal.SIGKILL
            )  # a trainer never ends by itself
            with Store(path) as store:
                assert store.problems() == []
                with store.reading() as db:
                    now = dict(db.execute("SELECT digest, sha256 FROM results"))
                    waiting += db.execute("SELECT count(*) FROM checkpoints").fetchone()[0] > 0
            assert before.items() <= now.items()  # nothing recorded is lost or changed
            before = now
        nursery.stdin.close()
    assert waiting >= kills // 4  # most kills hit the middle of a training, not the start of Python
    with Store(path) as store:
        found = {run: curves for run, _, curves in store.records()}
        expected_of = {
            each.run: each
            for n in (8, 10)
            for each in train([run for run in found if run.n_train == n])
        }
        for run, curves in found.items():
            expected = expected_of[run]
            assert curves.step.tolist() == expected.step.tolist()
            assert not curves.diverged
            for name in expected.columns:
                np.testing.assert_allclose(curves[name], expected[name], rtol=1e-9, err_msg=name)
    assert len(found) >= 10
