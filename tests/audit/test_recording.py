"""From a run store to evidence files, and which runs of a file a claims folder asks for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omnigrok.audit.recording import asked_for, export_experiment
from omnigrok.cli import main
from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.evidence.reading import read
from omnigrok.evidence.transfer import import_into
from omnigrok.evidence.writing import write
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.suite.suite import Setting, Suite, load_suite
from omnigrok.training.calendar import log_steps
from omnigrok.training.identity import identity


@pytest.fixture
def suite(toy: Any) -> Suite:
    toy.add("good", experiments="[tiny]")
    toy.write()
    return load_suite(toy.folder)


@pytest.fixture
def runs(suite: Suite) -> tuple[Run, ...]:
    return suite.runs("toy:tiny", Setting("paper", "paper"))


def result(run: Run, level: float = 1.0) -> tuple[Curves, Environment]:
    step = np.array(log_steps(run))
    curves = Curves(run, step, {"train_loss": np.full(len(step), level)})
    return curves, Environment(identity(run), torch.__version__, "cpu")


def export(
    suite: Suite,
    runs: Iterable[Run],
    target: Path,
    protocol: str | None = None,
    partial: bool = False,
    force: bool = False,
) -> str:
    """What the export of a store with these runs says."""
    store_path = target.parent / "s.sqlite"
    store_path.unlink(missing_ok=True)
    with Store(store_path) as store:
        store.adopt([result(run) for run in runs])
        figure = suite.figures[0]
        told = list(export_experiment(store, suite, figure, protocol, target, partial, force))
    return "; ".join(f"{path.name}: {words}" for path, words in told)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty folder for evidence files."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    return folder


def test_a_file_is_written_once_all_runs_are_there(
    suite: Suite, runs: tuple[Run, ...], target: Path
) -> None:
    name, n = "toy.tiny.paper.parquet", len(runs)
    assert export(suite, runs[:-1], target) == (
        f"{name}: left out: {n - 1} of {n} runs recorded (full), "
        f"{n - 1} of {n} runs recorded (reduced)"
    )
    assert list(target.iterdir()) == []
    assert export(suite, runs, target).startswith(f"{name}: written, {n} runs, ")
    file = read(target / name)
    assert set(file) == set(runs)
    assert {key: file.meta[key] for key in ("experiment", "protocol", "scale")} == {
        "experiment": "toy:tiny",
        "protocol": "paper",
        "scale": "full",
    }
    assert export(suite, runs, target, "code") == ""


def test_a_file_that_holds_the_same_is_left_alone_and_another_is_replaced(
    suite: Suite, runs: tuple[Run, ...], target: Path
) -> None:
    path = target / "toy.tiny.paper.parquet"
    export(suite, runs, target)
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert export(suite, runs, target) == f"{path.name}: as it was, {len(runs)} runs, full scale"
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    changed = {run: result(run, 2.0 if run is runs[0] else 1.0) for run in runs}
    write(path, changed, meta={})
    assert "written" in export(suite, runs, target)
    path.write_bytes(b"damaged")
    assert "written" in export(suite, runs, target)
    write(path, {run: result(run) for run in runs[1:]}, meta={})
    assert "written" in export(suite, runs, target)


def test_a_part_is_written_where_it_is_asked_for_and_another_store_goes_on(
    suite: Suite, runs: tuple[Run, ...], target: Path, tmp_path: Path
) -> None:
    name, n = "toy.tiny.paper.parquet", len(runs)
    assert export(suite, [], target, partial=True).startswith(f"{name}: left out: 0 of {n} runs")
    said = export(suite, runs[1:], target, partial=True)
    assert said.startswith(f"{name}: written, {n - 1} of {n} runs, ")
    assert set(read(target / name)) == set(runs[1:])
    again = export(suite, runs[1:], target, partial=True)
    assert again == f"{name}: as it was, {n - 1} of {n} runs, full scale"
    with Store(tmp_path / "other.sqlite") as other:
        assert import_into(other, target / name) == n - 1
        assert other.has_many(runs, None) == {run.digest for run in runs[1:]}
    assert export(suite, runs, target, partial=True).startswith(f"{name}: written, {n} runs, ")


def test_a_file_whose_results_were_imported_from_it_is_left_alone(
    suite: Suite, runs: tuple[Run, ...], target: Path, tmp_path: Path
) -> None:
    export(suite, runs, target)
    path = target / "toy.tiny.paper.parquet"
    before = path.read_bytes()
    with Store(tmp_path / "other.sqlite") as other:
        import_into(other, path)
        ((_, said),) = export_experiment(other, suite, suite.figures[0], None, target)
        assert said == f"as it was, {len(runs)} runs, full scale"
        assert path.read_bytes() == before
        write(path, {run: result(run, 2.0) for run in runs}, meta={})
        ((_, said),) = export_experiment(other, suite, suite.figures[0], None, target)
    assert said.startswith("written")
    assert all("imported" in curves.provenance for curves, _ in read(path).values())


@pytest.fixture
def small(toy: Any) -> Suite:
    """A suite whose experiment has a reduced scale of 2 of its 6 runs."""
    toy.add("good", experiments="[tiny]")
    toy.yaml = toy.yaml.replace(
        "    sweep: {seed: {count: 3}, alpha: [0.5, 2.0]}",
        "    sweep: {seed: {count: 3}, alpha: [0.5, 2.0]}\n"
        "    reduced: {how: one seed, sweep: {seed: {count: 1}}}",
    )
    toy.write()
    return load_suite(toy.folder)


def test_the_reduced_scale_replaces_the_full_one_only_by_force(small: Suite, target: Path) -> None:
    full, reduced = (
        small.runs("toy:tiny", Setting("paper", "paper", scale)) for scale in ("full", "reduced")
    )
    assert (len(full), len(reduced)) == (6, 2)
    assert "written, 2 runs, reduced scale" in export(small, reduced, target)
    assert "written, 6 runs, full scale" in export(small, full, target)
    (path,) = target.iterdir()
    before = path.read_bytes()
    assert export(small, reduced, target) == (
        f"{path.name}: refused: holds the full scale, and the store the reduced one"
    )
    command = ["evidence", "export", "--runs", str(target.parent / "s.sqlite")]
    command += ["--claims", str(small.folder), "--to", str(target)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    said = f"Error: {path}: holds the full scale, and the store the reduced one; --force replaces"
    assert said in done.output
    assert path.read_bytes() == before
    assert CliRunner().invoke(main, [*command, "--force"]).exit_code == 0
    assert read(path).meta["scale"] == "reduced"


def test_what_a_file_says_of_its_adoption_stays_with_its_results(
    suite: Suite, runs: tuple[Run, ...], target: Path
) -> None:
    path = target / "toy.tiny.paper.parquet"
    for level, kept in ((1.0, True), (2.0, False)):
        levels = {run: level if run is runs[0] else 2.0 for run in runs}
        held = {run: result(run, levels[run]) for run in runs}
        write(path, held, meta={"adopted": [{"why": "x"}]})
        assert "written" in export(suite, runs, target)
        assert ("adopted" in read(path).meta) is kept


def test_an_import_goes_to_the_store_of_the_claims_folder(
    suite: Suite, runs: tuple[Run, ...], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(suite, runs, target)
    (path,) = target.iterdir()
    monkeypatch.chdir(target)
    command = ["evidence", "import", str(path), "--claims", str(suite.folder)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    with Store(suite.folder.parent / ".omnigrok" / "runs.sqlite", readonly=True) as store:
        assert store.has_many(runs, None) == {run.digest for run in runs}


def test_a_part_is_no_evidence(suite: Suite, runs: tuple[Run, ...], tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    with Store(store) as opened:
        opened.adopt([result(runs[0])])
    command = ["evidence", "export", "--runs", str(store), "--claims", str(suite.folder)]
    for more in ([], ["--to", str(suite.folder / "evidence")]):
        done = CliRunner().invoke(main, [*command, "--partial", *more])
        assert done.exit_code == 2
        assert "incomplete files are no evidence" in done.output
    done = CliRunner().invoke(main, [*command, "--partial", "--to", str(tmp_path / "parts")])
    assert done.exit_code == 0, done.output
    assert "1 experiments written" in done.output


def test_only_runs_that_the_claims_ask_for_are_trained(
    suite: Suite, runs: tuple[Run, ...], tmp_path: Path
) -> None:
    path = tmp_path / "file.parquet"
    stranger = runs[0].replace(seed=77)
    meta = {"experiment": "toy:tiny", "protocol": "paper"}
    write(path, {run: result(run) for run in (runs[1], stranger)}, meta=meta)
    assert asked_for(suite, read(path)) == [runs[1]]
    write(path, {stranger: result(stranger)}, meta=meta)
    with pytest.raises(BadInput, match=r"toy:tiny of .* asks for none of its runs"):
        asked_for(suite, read(path))
    for wrong in ({"experiment": "other:tiny"}, {"protocol": "none"}):
        write(path, {runs[1]: result(runs[1])}, meta={**meta, **wrong})
        with pytest.raises(BadInput, match="has no such experiment: name its claims folder"):
            asked_for(suite, read(path))
