"""The audit of another paper in docs/your-paper.md: its files, taken from there, are under 60 lines
and make a working claim.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "your-paper.md"
FILES = {
    "conftest.py",
    "claims/audit.yaml",
    "mypkg/mine.py",
    "claims/sums.yaml",
    "claims/test_sums.py",
}


def files() -> dict[str, str]:
    """name to content of the page's blocks, each of which begins with a comment that is its name."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(
        re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    )


def test_the_page_has_all_files_in_under_sixty_lines() -> None:
    assert set(files()) == FILES
    assert sum(content.count("\n") for content in files().values()) < 60


def written(pytester: pytest.Pytester, changed: dict[str, tuple[str, str]] | None = None) -> None:
    """The files in a fresh folder, one text replaced by another in some of them."""
    for name, content in files().items():
        old, new = (changed or {}).get(name, ("", ""))
        assert old in content
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content.replace(old, new) if old else content, encoding="utf-8")
    # A folder of a user has no settings; here warnings are errors. The conftest puts its folder on
    # the path.
    pytester.makeini("[pytest]\nfilterwarnings = error\n")


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
    assert "a linear network learns the sum of its inputs" in page
    assert "On learning a sum" in page
    assert "Grokking Beyond Algorithmic Data" not in page
