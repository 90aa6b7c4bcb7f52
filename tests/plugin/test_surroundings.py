"""An audit depends neither on the settings of these tests nor on the user's folders, and refuses
bad paths before it trains.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omnigrok import data, files
from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.files import check_target
from omnigrok.run import Run
from omnigrok.spelling import did_you_mean

ROOT = Path(__file__).parents[2]
# No passwd entry, as in a container that runs under an arbitrary user id.
NOBODY = "import pwd\ndef getpwuid(uid):\n    raise KeyError(uid)\npwd.getpwuid = getpwuid\n"


def start(toy: Any, *options: str) -> pytest.RunResult:
    toy.write()
    done: pytest.RunResult = toy.pytester.runpytest_inprocess(
        "claims", "-p", "no:cacheprovider", "-n", "0", *options
    )
    return done


def replay(
    environment: dict[str, str], *options: str, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """One claim of this repository, from its evidence."""
    command = [sys.executable, "-m", "pytest"]
    command += [str(ROOT / "claims" / "test_fig02_teacher_student.py"), "-k", "fig02.grok-paper"]
    command += ["--replay", "-n", "0", "-p", "no:cacheprovider", "--audit-no-cache"]
    return subprocess.run(
        [*command, *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def surroundings() -> dict[str, str]:
    """The environment of these tests, with this clone and without a user's folders."""
    users = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "OMNIGROK_DATA")
    kept = {key: value for key, value in os.environ.items() if key not in users}
    return {**kept, "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
def test_a_replay_in_poor_surroundings(tmp_path: Path) -> None:
    """No home folder, no passwd entry, a clone that cannot be written, and Python's -O."""
    (tmp_path / "no_passwd.py").write_text(NOBODY)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = replay(
        {**surroundings(), "PYTHONPATH": path, "PYTHONOPTIMIZE": "1"},
        "-p",
        "no_passwd",
        "-o",
        "cache_dir=/dev/null/cache",
    )
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "1 REPRODUCED" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PATH": os.devnull},
        {"TERM": "dumb", "COLUMNS": "20"},
        {"TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8"},
    ],
    ids=["C locale", "Latin-1", "ASCII", "no compiler, no git", "tiny terminal", "Turkish locale"],
)
def test_a_replay_in_odd_surroundings(changed: dict[str, str], tmp_path: Path) -> None:
    """From another working folder, too."""
    target = tmp_path / "audit.json"
    done = replay({**surroundings(), **changed}, "--audit-json", str(target), folder=tmp_path)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    (row,) = json.loads(target.read_text(encoding="utf-8"))["claims"]
    assert (row["id"], row["verdict"]) == ("fig02.grok", "REPRODUCED")


def test_the_settings_of_the_clone_make_no_warning_an_error() -> None:
    assert "filterwarnings" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_warnings_are_errors_here(request: pytest.FixtureRequest) -> None:
    assert "error" in request.config.getini("filterwarnings")


@pytest.mark.parametrize("answer", ["RuntimeError", "KeyError", "~"])
def test_no_home(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    def cache(name: str) -> str:
        if answer == "~":
            return "~/.cache/omnigrok"
        raise {"RuntimeError": RuntimeError, "KeyError": KeyError}[answer](name)

    monkeypatch.delenv("OMNIGROK_DATA", raising=False)
    monkeypatch.setattr(files, "user_cache_dir", cache)
    assert data.default_root() == Path(".omnigrok/data")


def test_unrelated_options_move_no_store(toy: Any) -> None:
    """Without an ini file pytest's root folder follows the paths among the options."""
    losses = 'case.grid().per_seed(lambda c: float(c["train_loss"][-1]))'
    body = f'case.judge([mean_in_region("loss", {losses}, case.region("mean"))])'
    toy.yaml = toy.yaml.replace("alpha: [0.5, 2.0]", "alpha: [2.0]")
    toy.add("good", experiments="[tiny]", body=body)
    (toy.pytester.path / "tox.ini").unlink()
    (toy.pytester.path / "elsewhere").mkdir()
    start(
        toy,
        "--audit-json",
        str(toy.pytester.path / "elsewhere" / "a.json"),
        "--rootdir",
        "/",
        "-k",
        "not control",
    )
    assert [
        path.relative_to(toy.pytester.path) for path in toy.pytester.path.rglob("runs.sqlite")
    ] == [Path(".omnigrok/runs.sqlite")]


@pytest.mark.parametrize("option", ["--audit-json", "--report", "--runs"])
def test_a_bad_path_is_refused_before_anything(toy: Any, option: str) -> None:
    toy.add("good")
    done = start(toy, option, "claims")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{option} claims: is a folder; name a file" in done.stderr.str()
    assert "collected" not in done.stdout.str()


def test_targets(tmp_path: Path) -> None:
    check_target("--x", tmp_path / "new")
    check_target("--x", tmp_path / "a" / "b" / "new", make_folder=True)
    (tmp_path / "file").touch()
    check_target("--x", tmp_path / "file")
    for path, message in (
        (tmp_path / "a" / "new", "there is no folder"),
        (tmp_path / "file" / "new", "is not a folder"),
    ):
        with pytest.raises(BadInput, match=message):
            check_target("--x", path)


def test_seeds_match_exactly() -> None:
    """Neighbouring seeds are closer than any tolerance that is right for a learning rate."""
    run = Run(task="teacher_student", model="mlp", seed=99_998, n_train=8, steps=1, lr=1e-3)
    runs = [run.replace(seed=seed) for seed in (99_998, 99_999, 10**9, 10**9 + 1)]
    grid = Grid("x", {each: Curves.__new__(Curves) for each in runs})
    for each in runs:
        assert list(grid.where(seed=each.seed).curves) == [each]
        assert list(grid.between("seed", each.seed, each.seed).curves) == [each]
    assert len(grid.where(lr=1e-3 * (1 + 1e-7)).curves) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("above: 0", "above: 5, below: 3", "above must be less than below"),
        ("above: 0", "above: .nan", "finite number"),
        ("above: 0", "below: .inf", "finite number"),
        ("{above: 0}", "{inside: [-.inf, 1]}", "finite number"),
        ("{above: 0}}", "{above: 0}, floor: .nan}", "finite number"),
    ],
)
def test_a_region_without_values_is_refused_on_load(
    toy: Any, old: str, new: str, message: str
) -> None:
    toy.add("good")
    toy.yaml = toy.yaml.replace(old, new)
    done = start(toy)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert message in done.stdout.str()
    assert "toy.yaml: claim toy.good: criterion." in done.stdout.str()


def test_a_misspelt_option(toy: Any) -> None:
    toy.add("good")
    done = start(toy, "--repaly")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "did you mean, for --repaly: --replay" in done.stderr.str()


def test_a_misspelt_keyword(toy: Any) -> None:
    toy.add("inverse")
    done = start(toy, "-k", "toy.invers-paper or toy.invrese")
    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "did you mean toy.inverse?" in done.stdout.str()


def test_the_nearest_word() -> None:
    assert (
        did_you_mean("fig02.invers", ["fig02.grok", "fig02.inverse"])
        == " (did you mean 'fig02.inverse'?)"
    )
    assert did_you_mean("zebra", ["fig02.grok"]) == ""
