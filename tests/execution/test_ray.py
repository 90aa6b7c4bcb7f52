"""The Ray engine on a cluster of this machine's processes: actors and the driver are killed at
random moments, and nothing is lost, recorded twice, or different.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

import omnigrok
from omnigrok.errors import StoreError
from omnigrok.run import Run
from omnigrok.store.store import Store
from omnigrok.training import train

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra omnigrok[ray]")
MARK = "OMNIGROK_TEST_CLUSTER"
OBJECT_STORE = 100_000_000
ACTOR_KILLS = 10

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
options = {"num_cpus": 1, "object_store_memory": int(sys.argv[1])}
cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
cluster.add_node(**options)
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
DRIVER = """
import json, sys
from pathlib import Path
from omnigrok.execution import execute
from omnigrok.execution.engines.ray_cluster import RayEngine
from omnigrok.run import Run
from omnigrok.store.store import Store
execute.HEARTBEAT = execute.CHECKPOINT_EVERY = 0.0
runs = [Run.from_dict(each) for each in json.loads(sys.argv[3])]
def report(progress):
    print("report", progress.runs_done, progress.steps_done, flush=True)
with Store(sys.argv[1]) as store:
    engine = RayEngine(sys.argv[2], False, Path())
    print("slots", engine.slots, engine.device, flush=True)
    executor = execute.Executor(store, engine, runs, report=report)
    executor.ensure(runs)
    executor.close()
print("trained", executor.tally.runs_done, flush=True)
"""


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster of two nodes with a core each, in processes of their own."""
    monkeypatch.setenv(MARK, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(omnigrok.__file__).parents[1]))
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(OBJECT_STORE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        yield next(line for line in lines if line.startswith("address ")).split()[1]
        assert process.stdin is not None
        process.stdin.close()


def actors(mark: Path) -> list[int]:
    """Processes of this test's actors."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            wanted = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if wanted and command.startswith(b"ray::RemoteWorker"):
            found.append(int(folder.name))
    return found


def recorded(path: Path) -> dict[str, bytes]:
    """Digest to checksum of what is recorded; nothing before there is a store."""
    try:
        with Store(path, readonly=True) as store, store.reading() as db:
            return dict(db.execute("SELECT digest, sha256 FROM results"))
    except StoreError:
        return {}


def test_whatever_is_lost_is_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor, its process, or a report with the node that held it."""
    from ray import exceptions  # noqa: PLC0415 (optional)

    from omnigrok.execution.engines import ray_cluster  # noqa: PLC0415 (optional)

    task = exceptions.RayTaskError("advance", "its traceback", ValueError("x"))
    lost = exceptions.ObjectLostError("0" * 56, None, "")
    for error, is_lost in (
        (lost, True),
        (exceptions.WorkerCrashedError(), True),
        (exceptions.ActorUnavailableError("away", None), True),
        (task, False),
        (exceptions.OutOfMemoryError("full"), False),
    ):
        killed: list[str] = []
        job = SimpleNamespace(number=3)
        engine = ray_cluster.RayEngine.__new__(ray_cluster.RayEngine)
        engine._idle, engine._running = [], {3: SimpleNamespace(job=job, ref=None, actor="a")}
        monkeypatch.setattr(engine, "_kill", killed.append)
        monkeypatch.setattr(ray_cluster.ray, "get", Mock(side_effect=error))
        report = engine._answer(engine._running[3])
        assert (report.lost, report.failure is None) == (is_lost, is_lost)
        assert (killed, engine._running) == (["a"], {})


def start(path: Path, address: str, runs: list[Run]) -> subprocess.Popen[str]:
    arguments = [str(path), address, json.dumps([run.as_dict() for run in runs])]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.fault("SIGKILL of an actor, or of the driver, of a Ray cluster")
@pytest.mark.timeout(900)
def test_actors_and_the_driver_are_killed_and_nothing_is_lost(
    tmp_path: Path, nodes: str, toy: Run
) -> None:
    """Its job goes on in another actor from the last checkpoint; the same command goes on after the
    driver's end; each run is recorded once, with the curves of an uninterrupted training.
    """
    form = toy.replace(steps=60_000, log_every=500)
    runs = [form.replace(n_train=n, seed=seed) for n in range(10, 16) for seed in range(2)]
    path, moments = tmp_path / "runs.db", random.Random(10)  # noqa: S311
    before: dict[str, bytes] = {}
    driver = start(path, nodes, runs)
    assert driver.stdout is not None
    assert driver.stdout.readline().split()[:2] == ["slots", "2"]
    kills, second = 0, False
    while kills < ACTOR_KILLS:
        # A kill hits a training, not the start of Python: some chunks come between two of them.
        reports = [driver.stdout.readline() for _ in range(moments.randrange(5, 40))]
        assert "report" in reports[-1], "the training ended before its kills"
        victims = actors(tmp_path)
        if victims:
            os.kill(moments.choice(victims), signal.SIGKILL)
            kills += 1
        if kills == ACTOR_KILLS // 2 and not second:
            driver.kill()
            driver.wait()
            driver.stdout.close()
            driver = start(path, nodes, runs)
            assert driver.stdout is not None
            second = True
        now = recorded(path)
        assert before.items() <= now.items()  # nothing recorded is lost or changed
        before = now
    rest = driver.stdout.read()
    driver.stdout.close()
    assert driver.wait() == 0
    assert "trained" in rest
    deadline = time.monotonic() + 30
    while actors(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert actors(tmp_path) == []  # the driver has ended them
    with Store(path, readonly=True) as store:
        assert store.problems() == []
        found = {run: curves for run, _, curves in store.records()}
        assert store.count() == len(runs)
    expected = {
        curves.run: curves
        for n in range(10, 16)
        for curves in train([run for run in runs if run.n_train == n])
    }
    assert found.keys() == expected.keys()
    for run, curves in found.items():
        assert curves.step.tolist() == expected[run].step.tolist()
        for name in expected[run].columns:
            np.testing.assert_allclose(curves[name], expected[run][name], rtol=1e-9, err_msg=name)


YAML = """\
figure: toy
title: Toy
place: nowhere
experiments:
  tiny:
    base:
      {task: teacher_student, model: mlp, n_train: 8, lr: 1.0e-2, steps: 400, data: {n_test: 8},
       network: {widths: [2, 4, 2], activation: tanh}}
    sweep: {seed: {count: 4}, weight_decay: [0.0, 5.0]}
claims:
  - id: toy.decay
    statement: weight decay makes the norm smaller
    place: nowhere
    criterion: {share: {below: 0.9}}
    quantity: {first: 5.0, second: 0.0}
    experiments: [tiny]
    control: {why: one arm with itself, quantity: {first: 0.0}}
    "null": control arm
  - id: toy.refuted
    statement: weight decay makes the norm larger
    place: nowhere
    criterion: {share: {above: 1.1}}
    quantity: {first: 5.0, second: 0.0}
    experiments: [tiny]
    control: {why: one arm with itself, quantity: {first: 0.0}}
    "null": control arm
"""
CHECKS = """
from omnigrok.audit import claim
from omnigrok.stats import mean_in_region


def judge(case):
    arms = [
        case.grid().where(weight_decay=case[arm]).per_seed(lambda each: each["weight_norm"][-1])
        for arm in ("first", "second")
    ]
    shares = [float(one / other) for one, other in zip(*arms, strict=True)]
    case.judge([mean_in_region("share of the norm", shares, case.region("share"))])


@claim("toy.decay")
def test_decay(case):
    judge(case)


@claim("toy.refuted")
def test_refuted(case):
    judge(case)
"""


def audit(folder: Path, name: str, *options: str) -> dict[str, object]:
    """The document of an audit of the toy claims in a fresh store."""
    target = folder / f"{name}.json"
    common = ["-p", "no:cacheprovider", "--runs", f"{name}.sqlite", "--audit-json", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "claims", *common, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(omnigrok.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert target.exists(), done.stdout + done.stderr
    document: dict[str, object] = json.loads(target.read_text())
    return document


@pytest.mark.timeout(300)
def test_an_audit_in_a_cluster_has_the_verdicts_of_one_process(tmp_path: Path) -> None:
    """A cluster of this audit's own, which ends with it."""
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "toy.yaml").write_text(YAML)
    (tmp_path / "claims" / "test_toy.py").write_text(CHECKS)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["omnigrok.plugin.plugin"]\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    alone = audit(tmp_path, "alone", "-n", "0")
    cluster = audit(tmp_path, "cluster", "-n", "0", "--engine", "ray")
    keys = ("id", "protocol", "verdict", "findings")
    rows = [
        [{key: row[key] for key in keys} for row in document["claims"]]
        for document in (alone, cluster)
    ]
    assert rows[0] == rows[1]
    assert {row["verdict"] for row in rows[0]} == {"REPRODUCED", "REFUTED"}
    assert alone["device"] == cluster["device"] == "cpu"
