"""No character of somebody's file that a terminal obeys reaches a terminal or a log."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.printable import harmless, harmless_json, is_harmless


@given(st.text())
def test_what_a_terminal_obeys_is_written_out(text: str) -> None:
    shown = harmless(text)
    assert is_harmless(shown)
    kinds = {unicodedata.category(each) for each in shown if each not in "\n\t"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if is_harmless(text):
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202eolleh", "\\u202eolleh"),
        ("\ud800", "\\ud800"),
        ("\x9b1m", "\\x9b1m"),
        ("a\u2028b", "a\\u2028b"),
        ("two\nlines\tand é 漢 \u00a0 ×", "two\nlines\tand é 漢 \u00a0 ×"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert harmless(text) == shown
    assert str(BadInput(f"key {text}")) == f"key {shown}"
    assert harmless_json({text: [text, 1, None]}) == {shown: [shown, 1, None]}


def test_every_error_of_the_package_is_of_that_kind() -> None:
    assert str(OmnigrokError()) == ""
    for kind in OmnigrokError.__subclasses__():
        assert str(kind("\x07")) == "\\x07"
