"""Text goes between its markers; all else of a file stays as it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omnigrok.errors import BadInput
from omnigrok.report.markers import between, insert, markers

BEGIN, END = markers("speeds")
OTHER = "\n".join(markers("verdicts"))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    readme = write(tmp_path / "README.md", f"α\n{BEGIN}\nold\n{END}\n{OTHER}")
    insert(readme, "speeds", "new\n")
    assert readme.read_text(encoding="utf-8") == f"α\n{BEGIN}\nnew\n{END}\n{OTHER}"
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]


def test_what_is_current_is_not_written_again(tmp_path: Path) -> None:
    readme = write(tmp_path / "README.md", f"{BEGIN}\nnew\n{END}")
    before = readme.stat().st_ino
    insert(readme, "speeds", "new\n")
    assert readme.stat().st_ino == before
    assert between(readme, "speeds", "new\n")[0] == between(readme, "speeds", "new\n")[1]


@pytest.mark.parametrize("text", ["", OTHER, BEGIN, END, f"{END}\n{BEGIN}"])
def test_a_file_without_the_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    readme = write(tmp_path / "README.md", text)
    with pytest.raises(BadInput, match=re.escape(f"{readme}: lacks the markers {BEGIN} and {END}")):
        insert(readme, "speeds", "new\n")
    assert readme.read_text() == text


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.md: cannot be read"):
        insert(tmp_path / "none.md", "speeds", "new\n")
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=r"binary\.md: cannot be read"):
        insert(tmp_path / "binary.md", "speeds", "new\n")
