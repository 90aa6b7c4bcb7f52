"""A damaged page, a cut file: an error or harmless, and salvage saves the rest."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner

from omnigrok.cli import main
from omnigrok.curves import Curves
from omnigrok.errors import StoreError
from omnigrok.store.database import PAGE_SIZE
from omnigrok.store.leases import Leases
from omnigrok.store.salvage import Salvaged, salvage
from omnigrok.store.store import Environment, Store

Make = Callable[..., Curves]


Same = Callable[[Curves, Curves], bool]
Refusal = Callable[[str], AbstractContextManager[None]]


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
        for name, new in (
            ("zeroed", bytes(PAGE_SIZE)),
            ("overwritten", rng.randbytes(PAGE_SIZE)),
            ("torn", rng.randbytes(512)),
        ):
            start = page * PAGE_SIZE
            changes.append(
                (
                    f"page {page} {name}",
                    lambda content, start=start, new=new: _patched(content, start, new),
                )
            )
    return changes


def _patched(content: bytearray, start: int, new: bytes) -> bytearray:
    content[start : start + len(new)] = new
    return content


@pytest.mark.fault("a corrupt page in the store")
def test_damage_is_an_error_or_harmless_and_salvage_saves_the_rest(
    sound: Path,
    tmp_path: Path,
    env: Environment,
    make_curves: Make,
    same: Same,
    refusal_naming: Refusal,
) -> None:
    """It is detected; the message names `omnigrok evidence salvage`, which copies every whole
    result to a new store.
    """
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
                assert all(
                    same(curves, expected[run.seed]) and where == env
                    for run, where, curves in store.records()
                ), name
            saved[name] = counts.copied
        assert target.exists() == (name in saved)
        assert path.read_bytes() == before
        for file in tmp_path.iterdir():
            file.unlink()
    assert saved["page 0 zeroed"] == saved["page 0 overwritten"] == saved["page 0 torn"] == 40
    pages = [
        count
        for name, count in saved.items()
        if name.startswith("page") and not name.startswith(("page 0", "page 1 "))
    ]
    assert min(pages) >= 30  # one damaged page costs its own results
    assert len(pages) >= 12


def test_salvage_reads_what_a_killed_process_left_in_the_wal(
    tmp_path: Path, env: Environment, make_curves: Make
) -> None:
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


@pytest.mark.fault("a corrupt page in the store")
def test_the_message_of_a_damaged_store_leads_to_the_command_that_saves_it(
    sound: Path, tmp_path: Path, env: Environment, make_curves: Make
) -> None:
    """From the error of a damaged record to a store that goes on, by what the messages say."""
    path, saved = tmp_path / "runs.db", tmp_path / "saved.db"
    content = bytearray(sound.read_bytes())
    middle = len(content) // PAGE_SIZE // 2 * PAGE_SIZE
    content[middle : middle + PAGE_SIZE] = bytes(PAGE_SIZE)
    path.write_bytes(content)
    with (
        pytest.raises(
            StoreError, match=r"runs.db: .*save what is readable with `omnigrok evidence salvage`"
        ),
        Store(path) as store,
    ):
        list(store.records())
    done = CliRunner().invoke(main, ["evidence", "salvage", str(path), str(saved)])
    assert done.exit_code == 0, done.output
    assert f"results copied to {saved}; " in done.output
    assert f"Go on with --runs {saved}" in done.output
    with Store(saved) as store:
        assert 35 <= store.count() < 40
        assert store.adopt([(make_curves(seed, points=400), env) for seed in range(40)])
        assert store.count() == 40
