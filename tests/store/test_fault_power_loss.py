"""Power loss: a write that was torn in the middle loses at most what was not yet acknowledged, and
never records something else.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from omnigrok.curves import Curves
from omnigrok.store.database import PAGE_SIZE
from omnigrok.store.salvage import salvage
from omnigrok.store.store import Environment, Store

Make = Callable[..., Curves]
Same = Callable[[Curves, Curves], bool]
Refusal = Callable[[str], AbstractContextManager[None]]
POINTS = 400


def seeds_of(path: Path, make_curves: Make, same: Same) -> list[int]:
    """The seeds of all results, each compared with what was recorded."""
    with Store(path) as store:
        assert store.problems() == []
        found = {run.seed: curves for run, _, curves in store.records()}
    assert all(same(curves, make_curves(seed, points=POINTS)) for seed, curves in found.items())
    return sorted(found)


def test_a_copy_without_the_wal_is_an_older_store_or_an_error(
    tmp_path: Path, env: Environment, make_curves: Make, same: Same, refusal_naming: Refusal
) -> None:
    copy = tmp_path / "copy.db"
    with Store(tmp_path / "x.db") as store:
        for seed in range(30):
            store.adopt([(make_curves(seed, points=POINTS), env)])
        shutil.copyfile(store.path, copy)
    with refusal_naming("copy.db"):
        seeds = seeds_of(copy, make_curves, same)
        assert seeds == list(range(len(seeds)))  # an older state, not a selection


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, env: Environment, make_curves: Make) -> Path:
    """A folder with a store as the power went off: seven results in its file, three in its
    write-ahead log.
    """
    folder = tmp_path_factory.mktemp("before")
    with Store(folder / "made.db") as store:
        store.adopt([(make_curves(seed, points=POINTS), env) for seed in range(7)])
        with store.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for seed in range(7, 10):
            store.adopt([(make_curves(seed, points=POINTS), env)])
        for suffix in ("", "-wal"):
            shutil.copyfile(folder / f"made.db{suffix}", folder / f"off.db{suffix}")
    return folder


def torn(before: Path, folder: Path, file: bytes | None = None, wal: bytes | None = None) -> Path:
    """The store of ``before`` with another file or write-ahead log."""
    path = folder / "copy.db"
    path.write_bytes((before / "off.db").read_bytes() if file is None else file)
    path.with_name("copy.db-shm").unlink(missing_ok=True)
    path.with_name("copy.db-wal").write_bytes(
        (before / "off.db-wal").read_bytes() if wal is None else wal
    )
    return path


@pytest.mark.fault("power loss while a result is written")
@pytest.mark.parametrize("lost", [1, 40, 5000])
def test_a_torn_wal_loses_only_its_end(
    before: Path, tmp_path: Path, make_curves: Make, same: Same, lost: int
) -> None:
    """Whatever was acknowledged before is there; the write that was torn is not recorded, and is
    trained again.
    """
    seeds = seeds_of(
        torn(before, tmp_path, wal=(before / "off.db-wal").read_bytes()[:-lost]), make_curves, same
    )
    assert seeds in ([*range(9)],) if lost < PAGE_SIZE else ([*range(8)], [*range(9)])


@pytest.mark.fault("power loss while a result is written")
def test_a_wal_cut_or_changed_anywhere_is_an_older_store(
    before: Path, tmp_path: Path, make_curves: Make, same: Same
) -> None:
    """A write-ahead log cut or overwritten at any place gives the store as it was some commits ago,
    never a mixture.
    """
    chance, wal = random.Random(1), (before / "off.db-wal").read_bytes()  # noqa: S311
    seen = set()
    for _ in range(40):
        place = chance.randrange(len(wal))
        damaged = bytearray(wal[:place] if chance.random() < 0.5 else wal)
        if place < len(damaged):
            damaged[place : place + 512] = chance.randbytes(len(damaged[place : place + 512]))
        seeds = seeds_of(torn(before, tmp_path, wal=bytes(damaged)), make_curves, same)
        assert seeds in [[*range(n)] for n in (7, 8, 9)]
        seen.add(len(seeds))
    assert seen == {7, 8, 9}


@pytest.mark.fault("power loss while the log is copied into the file")
def test_a_checkpoint_torn_anywhere_loses_nothing(
    before: Path, tmp_path: Path, make_curves: Make, same: Same
) -> None:
    """Some pages of the file are new and some old, or half of each: the log still has them all, and
    nothing is lost.
    """
    chance, old = random.Random(2), (before / "off.db").read_bytes()  # noqa: S311
    whole = torn(before, tmp_path)
    with Store(whole) as store, store.reading() as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    new = whole.read_bytes()
    assert len(new) > len(old)
    for _ in range(25):
        mixed = bytearray(
            new[: chance.choice([len(old), len(new), chance.randrange(len(old), len(new))])]
        )
        for page in range(len(old) // PAGE_SIZE):
            start, end = (
                page * PAGE_SIZE,
                page * PAGE_SIZE + chance.choice([0, 512, 2048, PAGE_SIZE]),
            )
            mixed[start:end] = old[start:end]
        assert seeds_of(torn(before, tmp_path, file=bytes(mixed)), make_curves, same) == [
            *range(10)
        ]


@pytest.mark.fault("a disk that loses sectors")
def test_a_file_damaged_beside_its_wal_is_refused_or_salvaged(
    before: Path, tmp_path: Path, make_curves: Make, same: Same, refusal_naming: Refusal
) -> None:
    """Random sectors of file and log are lost: what opens holds only true results, and salvage
    copies every whole one.
    """
    chance = random.Random(3)  # noqa: S311
    files = {suffix: (before / f"off.db{suffix}").read_bytes() for suffix in ("", "-wal")}
    copied = 0
    for attempt in range(15):
        damaged = {suffix: bytearray(content) for suffix, content in files.items()}
        for suffix in ("", "-wal")[: 1 + attempt % 2]:
            for _ in range(3):
                place = 512 * chance.randrange(len(files[suffix]) // 512)
                damaged[suffix][place : place + 512] = bytes(512)
        path = torn(before, tmp_path, file=bytes(damaged[""]), wal=bytes(damaged["-wal"]))
        target = tmp_path / f"saved{attempt}.db"
        with refusal_naming("nothing of it can be read"):
            copied += salvage(path, target).copied
            assert set(seeds_of(target, make_curves, same)) <= {*range(10)}
        with refusal_naming("copy.db"), Store(path) as store:
            for run, _, curves in store.records():
                assert same(curves, make_curves(run.seed, points=POINTS))
    assert copied >= 15
