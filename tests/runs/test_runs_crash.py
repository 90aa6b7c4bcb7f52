"""SIGKILL, torn writes and damaged pages: what was committed is whole, or the error is one message and salvage saves the rest."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omnigrok.errors import StoreError
from omnigrok.runs import Curves
from omnigrok.runs.database import PAGE_SIZE
from omnigrok.runs.lease import Leases
from omnigrok.runs.salvage import Salvaged, salvage
from omnigrok.runs.store import Environment, Store

Make = Callable[..., Curves]
Same = Callable[[Curves, Curves], bool]

WRITER = """
import runpy, sys
_curves = runpy.run_path(sys.argv[3])["_curves"]
from omnigrok.runs.lease import Leases, new_owner
from omnigrok.runs.store import Environment, Store
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


def test_killed_writers_leave_every_committed_run_whole(
    tmp_path: Path, env: Environment, make_curves: Make, same: Same, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Ten writers, killed after a checkpoint or at any moment; each takes the dead one's lease at once and goes on from its checkpoint."""
    path = tmp_path / "runs.db"
    put: set[int] = set()
    steps: dict[int, int] = {}
    resumed = 0
    for kill in range(10):
        with start(WRITER, path, "wait" if kill % 2 == 0 else "run", Path(__file__).with_name("conftest.py")) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline()]  # it has begun
            while kill % 2 == 0 and lines[-1].split()[2:3] != ["2"]:
                lines.append(writer.stdout.readline())
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
                    assert int(rest[2]) >= steps[int(seed)]  # nothing that was acknowledged is trained again
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


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, env: Environment, make_curves: Make) -> Path:
    """A closed store of 40 results of a few pages each, with checkpoints and leases."""
    path = tmp_path_factory.mktemp("sound") / "runs.db"
    with Store(path) as store:
        store.adopt([(make_curves(seed, points=400), env) for seed in range(40)])
        waiting = make_curves(99).run
        tokens = Leases(store).acquire([waiting], env, "me", 60)
        store.checkpoint(waiting, env, tokens[waiting.digest], 5, bytes(10_000))
    return path


def damages(path: Path) -> list[tuple[str, Callable[[bytearray], bytearray]]]:
    """Cuts, zeroed and overwritten pages, at random places and at the ends."""
    pages, rng = path.stat().st_size // PAGE_SIZE, random.Random(5)  # noqa: S311
    sizes = (1, 99, PAGE_SIZE - 1, PAGE_SIZE, *(rng.randrange(pages * PAGE_SIZE) for _ in range(5)))
    changes: list[tuple[str, Callable[[bytearray], bytearray]]] = [
        (f"cut at {size}", lambda content, size=size: content[:size]) for size in sizes
    ]
    for page in (0, 1, 2, pages - 1, *(rng.randrange(pages) for _ in range(4))):
        for name, new in (("zeroed", bytes(PAGE_SIZE)), ("overwritten", rng.randbytes(PAGE_SIZE)), ("torn", rng.randbytes(512))):
            start = page * PAGE_SIZE
            changes.append((f"page {page} {name}", lambda content, start=start, new=new: _patched(content, start, new)))
    return changes


def _patched(content: bytearray, start: int, new: bytes) -> bytearray:
    content[start : start + len(new)] = new
    return content


@contextlib.contextmanager
def refusal_naming(text: str) -> Iterator[None]:
    """Lets a StoreError with this text pass, and no other exception."""
    try:
        yield
    except StoreError as error:
        if text not in str(error):
            raise


def test_damage_is_an_error_or_harmless_and_salvage_saves_the_rest(
    sound: Path, tmp_path: Path, env: Environment, make_curves: Make, same: Same
) -> None:
    expected = {seed: make_curves(seed, points=400) for seed in range(40)}
    saved = {}
    for name, change in damages(sound):
        path, target = tmp_path / "damaged.db", tmp_path / "saved.db"
        path.write_bytes(change(bytearray(sound.read_bytes())))
        with refusal_naming("damaged.db"), Store(path, readonly=True) as store:
            found = {run.seed: curves for run, _, curves in store.records()}
            assert store.problems() or len(found) == 40, name
            assert all(same(curves, expected[seed]) for seed, curves in found.items()), name
        before = path.read_bytes()
        with refusal_naming("nothing of it can be read"):
            counts = salvage(path, target)
            with Store(target) as store:
                assert store.problems() == []
                assert store.count() == counts.copied
                assert all(same(curves, expected[run.seed]) and where == env for run, where, curves in store.records()), name
            saved[name] = counts.copied
        assert target.exists() == (name in saved)
        assert path.read_bytes() == before
        for file in tmp_path.iterdir():
            file.unlink()
    assert saved["page 0 zeroed"] == saved["page 0 overwritten"] == saved["page 0 torn"] == 40
    pages = [count for name, count in saved.items() if name.startswith("page") and not name.startswith(("page 0", "page 1 "))]
    assert min(pages) >= 30  # one damaged page costs its own results
    assert len(pages) >= 12


def test_a_copy_without_the_wal_is_an_older_store_or_an_error(tmp_path: Path, env: Environment, make_curves: Make, same: Same) -> None:
    copy = tmp_path / "copy.db"
    with Store(tmp_path / "x.db") as store:
        for seed in range(30):
            store.adopt([(make_curves(seed, points=400), env)])
        shutil.copyfile(store.path, copy)
    with refusal_naming("copy.db"), Store(copy) as old:
        assert all(same(curves, make_curves(run.seed, points=400)) for run, _, curves in old.records())


@pytest.mark.parametrize("lost", [1, 40, 5000])
def test_a_torn_wal_loses_only_its_end(tmp_path: Path, env: Environment, make_curves: Make, same: Same, lost: int) -> None:
    """A power cut within the last commit: the file as it was, the write-ahead log cut short."""
    copy = tmp_path / "copy.db"
    with Store(tmp_path / "x.db") as store:
        for seed in range(10):
            store.adopt([(make_curves(seed, points=400), env)])
        shutil.copyfile(store.path, copy)
        wal = store.path.with_name("x.db-wal").read_bytes()
        copy.with_name("copy.db-wal").write_bytes(wal[:-lost])
    with Store(copy) as torn:
        assert torn.problems() == []
        assert torn.count() in ((9,) if lost < PAGE_SIZE else (8, 9))
        assert all(same(curves, make_curves(run.seed, points=400)) for run, _, curves in torn.records())


def test_salvage_reads_what_a_killed_process_left_in_the_wal(tmp_path: Path, env: Environment, make_curves: Make) -> None:
    with Store(tmp_path / "x.db") as store:
        store.adopt([(make_curves(seed), env) for seed in range(5)])
        assert salvage(store.path, tmp_path / "y.db") == Salvaged(5, 0)


def test_salvage_refuses_what_it_cannot_do(sound: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="name a new one"):
        salvage(sound, sound)
    with pytest.raises(StoreError, match="cannot be salvaged"):
        salvage(tmp_path / "none.db", tmp_path / "new.db")
    (tmp_path / "notes.txt").write_text("notes " * 2000)
    with pytest.raises(StoreError, match="nothing of it can be read"):
        salvage(tmp_path / "notes.txt", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
