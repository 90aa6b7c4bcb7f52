"""The audit of another paper in docs/your-paper.md: its files are those of ``omnigrok init`` and
make a working claim.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from omnigrok.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "your-paper.md"


def files() -> dict[str, str]:
    """name to content of the page's blocks, each of which begins with its name as a comment."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))


def test_the_page_has_the_five_files_of_the_command(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert done.exit_code == 0, done.output
    made = {
        path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8")
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert files() == made
    assert len(made) == 5


def written(pytester: pytest.Pytester, changed: dict[str, tuple[str, str]] | None = None) -> None:
    """The files in a fresh folder, one text replaced by another in some of them."""
    for name, content in files().items():
        old, new = (changed or {}).get(name, ("", ""))
        assert old in content
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace(old, new) if old else content, encoding="utf-8")
    # A folder of a user has no settings; here warnings are errors. The plugin is named because it
    # is loaded by itself only where the package is installed.
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = -p omnigrok.plugin.plugin\n")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_it_works(pytester: pytest.Pytester, workers: str) -> None:
    written(pytester)
    result = pytester.runpytest_subprocess(
        "claims", "-n", workers, "-p", "no:cacheprovider", "--audit-json", "a.json"
    )
    (row,) = json.loads((pytester.path / "a.json").read_text())["claims"]
    assert (row["verdict"], row["control"]["verdict"]) == ("REPRODUCED", "REFUTED"), (
        result.stdout.str()
    )
    assert row["cost"]["runs"] == 3
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("axis", "titles"),
    [
        ("data.noise: [0, .1]", ["data.noise = 0", "data.noise = 0.1"]),
        ("precision: [float32, float64]", ["precision = float32", "precision = float64"]),
        ("lr_drops: [[], [50, 100]]", ["lr_drops = ()", "lr_drops = (50, 100)"]),
    ],
)
def test_a_page_shows_an_axis_of_any_kind(
    pytester: pytest.Pytester, axis: str, titles: list[str]
) -> None:
    """Runs of several settings have no single one a seed, so the check says ERROR."""
    written(pytester, {"claims/sums.yaml": ("{count: 5}}", "{count: 5}, " + axis + "}")})
    result = pytester.runpytest_subprocess(
        "claims",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "--report",
        "r.html",
        "--audit-json",
        "a.json",
    )
    result.stdout.fnmatch_lines(["*smoke tier: 1 ERROR*", "page: r.html"])
    page = (pytester.path / "r.html").read_text(encoding="utf-8")
    assert "cannot be drawn" not in page
    for title in titles:
        assert title in page


def test_a_task_without_a_test_set_has_no_line_for_it(pytester: pytest.Pytester) -> None:
    written(
        pytester,
        {
            "mypaper/data.py": ("order[run.n_train :])", "order[:0])"),
            "claims/sums.yaml": ("column: test_loss", "column: train_loss"),
        },
    )
    result = pytester.runpytest_subprocess(
        "claims", "-n", "0", "-p", "no:cacheprovider", "--report", "r.html"
    )
    result.stdout.fnmatch_lines(["*smoke tier: 1 REPRODUCED*", "page: r.html"])
    page = (pytester.path / "r.html").read_text(encoding="utf-8")
    assert "cannot be drawn" not in page
    assert "<svg" in page


def test_it_can_fail(pytester: pytest.Pytester) -> None:
    """Networks that hardly train do not learn the sum."""
    written(pytester, {"claims/sums.yaml": ("lr: 0.05", "lr: 0.00001")})
    pytester.runpytest_subprocess(
        "claims", "-n", "0", "-p", "no:cacheprovider", "--audit-json", "a.json"
    )
    (row,) = json.loads((pytester.path / "a.json").read_text())["claims"]
    assert row["verdict"] == "REFUTED"


def test_its_other_commands_work(pytester: pytest.Pytester) -> None:
    """What the page promises of them: a plan, one claim, a report of their own title."""
    written(pytester)
    planned = pytester.runpytest_subprocess("claims", "-p", "no:cacheprovider", "--plan")
    assert planned.ret == pytest.ExitCode.OK
    assert "sums" in planned.stdout.str()
    chosen = pytester.runpytest_subprocess(
        "claims", "-p", "no:cacheprovider", "-k", "sums.learned", "--report", "page.html"
    )
    assert chosen.ret == pytest.ExitCode.OK, chosen.stdout.str()
    page = (pytester.path / "page.html").read_text(encoding="utf-8")
    assert "A linear network learns the sum of its inputs" in page
    assert "Linear Networks Learn Sums" in page
    assert "Grokking Beyond Algorithmic Data" not in page
    shown = omnigrok(pytester, "show", "sums.learned")
    assert shown.returncode == 0, shown.stderr
    assert "store, smoke tier, paper, sums:line: all 3 runs recorded" in shown.stdout
    about = pytester.path / "claims" / "audit.yaml"
    text = about.read_text(encoding="utf-8")
    about.write_text(text.replace("modules: [mypaper]", "simulations: mypaper.made"))
    for command, said in (
        (
            "show",
            r"Error: .*task 'mypaper\.data': cannot import mypaper: it is not in /.*audit\.yaml",
        ),
        ("power", r"Error: .*audit\.yaml: simulations: mypaper\.made: cannot import mypaper: "),
    ):
        done = omnigrok(pytester, command, "sums.learned")
        assert done.returncode == 1
        assert re.search(said, done.stderr.replace("\n", " "))


def omnigrok(pytester: pytest.Pytester, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command, which does not look for modules in the working folder, as pytester's
    own ``run`` would.
    """
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "omnigrok", *words],
        cwd=pytester.path,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
