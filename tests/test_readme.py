"""README and docs/ say what the program does: their generated parts are current, their commands and
options exist, and the README is two screens of short sentences.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from omnigrok.audit.document import write_audit
from omnigrok.cli import main
from omnigrok.plugin.command_line import add_options
from omnigrok.report.markers import between
from omnigrok.report.replaying import replay

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(path.read_text() for path in PAGES)
COMMANDS = sorted(
    set(re.findall(r"`(omnigrok [a-z][^`]*)`|^    (omnigrok .*)$", TEXT, re.MULTILINE))
)
# With generated parts, filled in by ``report --into``.
GENERATED = ("README.md", "docs/verdicts.md", "docs/findings.md")
LONGEST_SENTENCE = 25  # words, on the first screen


class Options:
    """Stands in for pytest's parser and keeps the names."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def getgroup(self, *args: str) -> Options:
        return self

    def addoption(self, *names: str, **settings: object) -> None:
        self.names.update(names)


def test_every_option_of_an_audit_exists() -> None:
    known = Options()
    add_options(known)  # type: ignore[arg-type]
    used = {
        option
        for line in re.findall(r"pytest claims/[^`\n]*", TEXT)
        for option in re.findall(r"--[a-z-]+", line)
    }
    assert {"--tier", "--replay", "--protocol"} <= used
    # What follows a semicolon is another command.
    assert used - known.names <= {"--into", "--check", "--html"}


@pytest.mark.parametrize("found", COMMANDS, ids=lambda found: (found[0] or found[1])[:40])
def test_every_command_exists(found: tuple[str, str]) -> None:
    words = (found[0] or found[1]).split()[1:]
    command: click.Command = main
    context = click.Context(main)
    while words and isinstance(command, click.Group):
        name = words.pop(0).rstrip(",")
        inner = command.get_command(context, name)
        assert inner is not None, f"omnigrok has no command {name}"
        command = inner
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_what_the_evidence_says_is_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges all recorded evidence again: the generated parts, and what smoke audits are compared
    with.
    """
    monkeypatch.chdir(ROOT)
    audit = tmp_path / "replay.json"
    write_audit(audit, replay(Path("claims")))
    files = [word for name in GENERATED for word in ("--into", name)]
    for command in (["report", str(audit), *files], ["evidence", "decide", str(audit)]):
        done = CliRunner().invoke(main, [*command, "--check"])
        assert done.exit_code == 0, done.output


def test_the_readme_fits_two_screens() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def sentences(text: str) -> list[str]:
    """Those of prose, captions and list items: no code, no links' targets, no alternative texts."""
    text = re.sub(r"^(    |#|\[).*$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\][(\[][^)\]]*[)\]]", r"\1", text)
    return [
        " ".join(sentence.split())
        for paragraph in text.split("\n\n")
        for sentence in re.split(r"(?<=[.?!:])\s+(?=[A-Z`*])", paragraph)
        if sentence.strip()
    ]


def test_no_sentence_of_the_first_screen_is_long() -> None:
    first = sentences(README.partition("\n## ")[0])
    assert len(first) > 5
    assert [each for each in first if len(each.split()) > LONGEST_SENTENCE] == []


def test_what_a_sentence_is() -> None:
    text = (
        "# Title\n\nOne [link](x.md) here. Two\nlines, `a`? Three.\n\n    code\n\n"
        "![No. Text](a.svg)\n"
    )
    assert sentences(text) == ["One link here.", "Two lines, `a`?", "Three."]


def test_the_figure_shows_the_numbers_of_the_table() -> None:
    """It was drawn from the same verdicts as the table below it."""
    figure = (ROOT / "docs" / "main-claim.svg").read_text()
    table = between(ROOT / "README.md", "headline")
    for name in ("fig02.train-L", "fig02.test-U", "fig02.inverse"):
        (row,) = (line for line in table.splitlines() if line.startswith(f"| **{name}**"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        effect = re.search(rf"{NUMBER} \[{NUMBER}, {NUMBER}\]", cells[4])
        assert effect is not None
        (shown,) = (line for line in texts(figure) if effect[0] in line)
        assert cells[1] in " ".join(texts(figure))
        assert shown


def texts(svg: str) -> list[str]:
    return [" ".join(text.split()) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def rows_of_the_table() -> list[list[str]]:
    """The cells of each claim's row."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in between(ROOT / "docs" / "verdicts.md", "verdicts").splitlines()
        if line.startswith("| ")
    ]
    return [row for row in rows if len(row) > 6 and row[0] != "claim"]


NUMBER = r"-?(?:inf|[0-9.]+(?:e[+-]?[0-9]+)?)"


def contradicts(verdict: str, effect: str) -> bool:
    """Whether an interval and a region say another verdict than the row, and the row does not say
    why.
    """
    found = re.match(
        (
            rf"(?:.*: )?(?:none|{NUMBER}) \[({NUMBER}), ({NUMBER})\] "
            rf"\((?:([<>]) ({NUMBER})|inside \[({NUMBER}), ({NUMBER})\])\)(.*)"
        ),
        effect,
    )
    if found is None:
        return verdict in ("REPRODUCED", "REFUTED")
    low, high, sign, edge, first, last, why = found.groups()
    region = (
        (float(first), float(last))
        if first
        else (float(edge), math.inf)
        if sign == ">"
        else (-math.inf, float(edge))
    )
    inside = region[0] <= float(low) and float(high) <= region[1]
    outside = float(high) < region[0] or float(low) > region[1]
    said = "REPRODUCED" if inside else "REFUTED" if outside else "INCONCLUSIVE"
    return said != verdict and not why


def test_no_row_shows_an_effect_that_contradicts_its_verdict() -> None:
    rows = rows_of_the_table()
    assert len(rows) > 10
    for name, *cells in rows:
        verdict = next(cell for cell in cells[:3] if cell and cell != "NOT RUN").rstrip(" ~°!^")
        assert not contradicts(verdict, cells[3]), name


@pytest.mark.parametrize(
    ("verdict", "effect", "expected"),
    [
        ("REPRODUCED", "12 [11, 13] (> 10)", False),
        ("REPRODUCED", "12 [9, 13] (> 10)", True),
        ("REPRODUCED", "ratio (acc, 95%): upper half: 12 [9, 13] (> 10)", True),
        ("REPRODUCED", "ratio (acc, 95%): upper half: 12 [11, 13] (> 10)", False),
        ("REFUTED", "-0.7 [-0.8, -0.6] (inside [-1.15, -0.85])", False),
        ("INCONCLUSIVE", "3 [3, 3] (< 0.15)", True),
        ("INCONCLUSIVE", "3 [3, 3] (< 0.15); points to REFUTED; 4 of 9 runs not settled", False),
        ("REFUTED", "no value (> 0)", True),
    ],
)
def test_what_counts_as_a_contradiction(verdict: str, effect: str, expected: bool) -> None:
    assert contradicts(verdict, effect) == expected
