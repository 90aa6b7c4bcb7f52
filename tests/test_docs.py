"""The documentation is whole: its pictures are current, what is cited exists, and what the workflow
calls is there. ``tox run -e docs`` builds the site and checks its links.
"""

from __future__ import annotations

import configparser
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCES = [
    path for folder in ("omnigrok", "tests", "claims") for path in (ROOT / folder).rglob("*.py")
]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
WRITTEN = [page for page in PAGES if page.name != "options.md"]  # that one is generated as a whole
# Specifications of this project's makers, which no clone has.
ELSEWHERE = re.compile(r"\b(?:STATISTICS|PROTOCOL|GOLDEN|DESIGN|EVIDENCE)\.md")


def rooms() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "docs" / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_rooms_is_current() -> None:
    made = rooms().picture()
    assert (ROOT / "docs" / "rooms.svg").read_text() == made, "run: python docs/rooms.py"
    names = re.findall(r'class="n"[^>]*>(\w+)<', made)
    assert names[0] == "paper"
    assert {"plugin", "report", "stats", "training"} < set(names)


def test_docstrings_cite_pages_that_exist() -> None:
    for path in SOURCES:
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        assert not ELSEWHERE.search(text), path
        for cited in re.findall(r"\bdocs/[\w-]+\.md", text):
            assert (ROOT / cited).exists(), (path, cited)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """As they are read in the repository; the site's are checked when it is built."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_lines_are_of_100_columns(page: Path) -> None:
    """Prose; tables, generated parts and addresses are as long as they are."""
    text = re.sub(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", "", page.read_text(), flags=re.S)
    long = [line for line in text.splitlines() if len(line) > 100 and not line.startswith("|")]
    assert long == []


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= named


def workflow() -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def test_the_workflow_calls_environments_that_exist() -> None:
    commands = [
        step["run"] for job in workflow()["jobs"].values() for step in job["steps"] if "run" in step
    ]
    used = set(re.findall(r"tox (?:run|exec) -e (\w+)", "\n".join(commands)))
    config = configparser.RawConfigParser(strict=False)
    config.read(ROOT / "tox.ini")
    known = {name.removeprefix("testenv:") for name in config.sections()}
    assert used == {"lint", "audit", "coverage", "docs"}
    assert used <= known


def test_pre_commit_runs_what_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (ROOT / "tox.ini").read_text().partition("[testenv:lint]")[2].partition("\n[")[0]
    assert {hook["id"] for hook in hooks} == {"ruff", "ruff-format", "mypy"}
    for hook in hooks:
        command = hook["entry"].partition(" -- ")[2].removesuffix(" --force-exclude")
        assert re.search(rf"^    {command}", lint, re.MULTILINE), command


def test_the_citation_names_the_paper_of_the_audit() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    about = yaml.safe_load((ROOT / "claims" / "audit.yaml").read_text())
    (paper,) = citation["references"]
    names = [f"{each['given-names']} {each['family-names']}" for each in paper["authors"]]
    assert (paper["title"], names, paper["url"]) == (
        about["title"],
        about["authors"],
        about["link"],
    )


@pytest.mark.parametrize(
    "path", sorted((ROOT / "claims").glob("*.yaml")), ids=lambda path: path.stem
)
def test_figure_files_are_of_100_columns(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > 100] == []
