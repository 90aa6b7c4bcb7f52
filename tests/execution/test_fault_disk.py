"""Full disks and disks that cannot be written: what was recorded stays, the message says what to
do, and room is all it takes to go on.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError, StoreError
from omnigrok.evidence.reading import read
from omnigrok.evidence.writing import write
from omnigrok.execution import execute
from omnigrok.execution.engines import LocalEngine
from omnigrok.execution.execute import Executor
from omnigrok.run import Run
from omnigrok.store.leases import Leases
from omnigrok.store.salvage import salvage
from omnigrok.store.store import Environment, Store

Make = Callable[..., Curves]
Same = Callable[[Curves, Curves], bool]
Check = Callable[[Executor, Sequence[Run]], None]
FULL = (
    r"runs.db: the disk is full: free some space, or name another store with --runs; all that was "
    r"recorded before is kept"
)


@pytest.fixture(scope="module")
def run(toy: Run) -> Run:
    return toy.replace(steps=200)


@pytest.fixture(autouse=True)
def _chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "HEARTBEAT", 0.0)
    monkeypatch.setattr(execute, "CHECKPOINT_EVERY", 0.0)


def fill(folder: Path) -> Path:
    """Take all the space that is left."""
    path = folder / "something else"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            return path


@pytest.mark.fault("the disk is full")
def test_training_on_a_disk_that_fills_up(
    small_disk: Path, run: Run, assert_trained: Check
) -> None:
    """The audit ends with a message; once there is room, the same command goes on, and nothing
    recorded before is lost.
    """
    first, second = run, run.replace(seed=1)
    with Store(small_disk / "runs.db") as store:
        executor = Executor(store, LocalEngine(torch.device("cpu"), Path()), [first])
        executor.ensure([first])
        hog = fill(small_disk)
        later = Executor(store, LocalEngine(torch.device("cpu"), Path()), [second])
        with pytest.raises(StoreError, match=FULL):
            later.ensure([second])
        assert store.count() == 1
        assert store.problems() == []
        hog.unlink()
        again = Executor(store, LocalEngine(torch.device("cpu"), Path()), [first, second])
        # The process lives, and there was no room to note that its lease has ended: it ends by
        # itself.
        again.leases.clock = lambda: time.time() + execute.LEASE_SECONDS
        again.ensure([first, second])
        assert_trained(again, [first, second])


@pytest.mark.fault("the disk is full")
def test_a_store_at_its_largest_keeps_what_was_recorded(
    store: Store, env: Environment, make_curves: Make, same: Same
) -> None:
    """A result or checkpoint that does not fit is refused whole, and fits under the same lease once
    there is room.
    """
    store.adopt([(make_curves(1), env)])
    big = make_curves(2, points=20_000)
    token = Leases(store).acquire([big.run], env, "me", 60)[big.run.digest]
    with store.reading() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(StoreError, match=FULL):
        store.put(big, env, token)
    with pytest.raises(StoreError, match="the disk is full"):
        store.checkpoint(big.run, env, token, 3, bytes(10**6))
    back = store.get(make_curves(1).run, env)
    assert back is not None
    assert same(back, make_curves(1))
    assert store.problems() == []
    with store.reading() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    assert store.put(big, env, token)


@pytest.mark.fault("a limit on the size of files")
def test_a_file_that_may_not_grow(
    store: Store, env: Environment, make_curves: Make, run: Run
) -> None:
    """ulimit -f: the write is refused with a message, and the store is as it was."""
    store.adopt([(make_curves(1), env)])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
            store.adopt([(make_curves(2, points=50_000), env)])
        except StoreError as error:
            status = 0 if "--runs" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [run.seed for run, _, _ in store.records()] == [1]
    assert store.problems() == []
    store.adopt([(make_curves(2), env)])


@pytest.mark.fault("the disk is full")
def test_evidence_and_salvage_on_a_full_disk(
    small_disk: Path, tmp_path: Path, env: Environment, make_curves: Make, same: Same, run: Run
) -> None:
    """Evidence is written whole or not at all: the older version stays, and no half file is
    left.
    """
    path, old = small_disk / "x.parquet", make_curves(1)
    many = [make_curves(seed, points=3000) for seed in range(9)]
    write(path, {old.run: (old, env)})
    hog = fill(small_disk)
    with pytest.raises(EvidenceError, match=r"x.parquet was not written: .*No space left"):
        write(path, {each.run: (each, env) for each in many})
    assert same(read(path)[old.run][0], old)
    assert {file.name for file in small_disk.iterdir()} == {"x.parquet", hog.name}
    with Store(tmp_path / "large.db") as store:
        store.adopt([(each, env) for each in many])
    with pytest.raises(StoreError, match=r"saved.db: the disk is full"):
        salvage(tmp_path / "large.db", small_disk / "saved.db")


@pytest.fixture
def frozen(small_disk: Path, env: Environment, make_curves: Make) -> Path:
    """A store on a file system that has become read-only; root could write into a folder that is
    only marked so.
    """
    with Store(small_disk / "runs.db") as store:
        store.adopt([(make_curves(1), env)])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    return small_disk / "runs.db"


@pytest.mark.fault("a read-only store or folder")
def test_a_store_on_a_read_only_disk(
    frozen: Path, env: Environment, make_curves: Make, same: Same, run: Run
) -> None:
    """It can be read and exported; training stops with a message that names the store and
    --runs.
    """
    with Store(frozen, readonly=True) as store:
        back = store.get(make_curves(1).run, env)
        assert back is not None
        assert same(back, make_curves(1))
        with pytest.raises(StoreError, match=r"runs.db: .*name another store with --runs"):
            store.adopt([(make_curves(2), env)])
    with pytest.raises(StoreError, match=r"runs.db: .*--runs"), Store(frozen) as store:
        Executor(store, LocalEngine(torch.device("cpu"), Path()), [run]).ensure([run])
    with Store(frozen, readonly=True) as store:
        assert store.count() == 1


@pytest.mark.fault("a read-only store or folder")
def test_new_files_on_a_read_only_disk(frozen: Path, env: Environment, make_curves: Make) -> None:
    """A new store, evidence file or salvaged store is refused with a message that names it."""
    with pytest.raises(StoreError, match=r"new.db: .*--runs"):
        Store(frozen.with_name("new.db"))
    with pytest.raises(EvidenceError, match=r"x.parquet was not written: .*Read-only"):
        write(frozen.with_name("x.parquet"), {make_curves(1).run: (make_curves(1), env)})
    with pytest.raises(StoreError, match=r"saved.db: .*--runs"):
        salvage(frozen, frozen.with_name("saved.db"))
    assert [file.name for file in frozen.parent.iterdir()] == ["runs.db"]


@pytest.mark.fault("a read-only store or folder")
def test_the_disk_becomes_read_only_in_the_middle(
    small_disk: Path, env: Environment, make_curves: Make, run: Run
) -> None:
    """As a file system does that has found errors: the next write is refused, and what was recorded
    can be read.
    """
    with Store(small_disk / "runs.db") as store:
        store.adopt([(make_curves(1), env)])
        os.sync()
        # A file that is open for writing keeps the disk from being remounted: this is what the
        # kernel itself can do, not mount.
        store.close()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(StoreError, match=r"runs.db: .*--runs"):
            store.adopt([(make_curves(2), env)])
    with Store(small_disk / "runs.db", readonly=True) as store:
        assert store.count() == 1
