"""The browser test can fail: each fault is planted into a page that is in order, and found by the
check that is there for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit.document import parse
from omnigrok.report.page import render
from omnigrok.suite.suite import load_suite

from .browsing import CHECKS, chromium, faults
from .conftest import CLAIMS, document, row

POLICY = '<meta http-equiv="Content-Security-Policy"'
PLANTED = {
    "a script that fails": ("console", "<script>nothing.here()</script>"),
    "an image from elsewhere, which the policy blocks": (
        "console",
        '<img src="http://127.0.0.1:9/x.png" alt="x">',
    ),
    "an image from elsewhere": ("requests", '<img src="http://127.0.0.1:9/x.png" alt="x">'),
    "a style sheet from elsewhere": (
        "requests",
        '<link rel="stylesheet" href="http://127.0.0.1:9/x.css">',
    ),
    "a file beside the page": ("requests", '<img src="beside.png" alt="x">'),
    "a figure of no size": (
        "figures",
        '<figure ><svg role="img" aria-label="x" width="0" height="0"></svg></figure>',
    ),
    "a figure that is not shown": (
        "figures",
        f'<figure hidden><svg role="img" aria-label="x">{"<path d=m0/>" * 20}</svg></figure>',
    ),
    "a figure without a drawing": ("figures", "<figure >nothing</figure>"),
    "a link to nowhere": ("links", '<a href="#nowhere">there</a>'),
    "a link out of the page": ("links", '<a href="http://127.0.0.1:9/">there</a>'),
    "a link to a file that is not there": ("links", '<a href="none.html#x">there</a>'),
    "a wide block": ("360 px", '<div style="width: 500px">wide</div>'),
    "a block wider than a large phone": ("390 px", '<div style="width: 500px">wide</div>'),
    "a wide block that was folded": (
        "360 px",
        '<details><summary>more</summary><div style="width: 500px">wide</div></details>',
    ),
    "a block wider than a tablet": ("768 px", '<div style="width: 800px">wide</div>'),
    "a block wider than a desktop": ("1920 px", '<div style="width: 2000px">wide</div>'),
    "an image without a text": ("axe", '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">'),
    "a drawing without a text": ("axe", '<svg role="img" width="20" height="20"></svg>'),
    "a scrolling box that no key reaches": (
        "axe",
        '<div style="overflow: auto; height: 20px; width: 50px">' + "text " * 50 + "</div>",
    ),
    "ink like the ground": (
        "contrast in the dark",
        '<p class="added" style="color: #333; background: #222">unreadable</p>',
    ),
}
# The policy would block these before the browser asks.
UNGUARDED = {"an image from elsewhere", "a style sheet from elsewhere", "a file beside the page"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def sound() -> str:
    return render(
        parse(document(row("fig02.inverse", figure="fig02_teacher_student"))),
        load_suite(CLAIMS),
        [],
        {},
    )


def test_every_check_is_tried() -> None:
    assert {name for name, _ in PLANTED.values()} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_without_a_fault(browser: Any, sound: str, name: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(sound, encoding="utf-8")
    assert faults(browser, page, name) == []


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(browser: Any, sound: str, fault: str, tmp_path: Path) -> None:
    name, html = PLANTED[fault]
    text = sound.replace("</main>", f"{html}</main>")
    assert text != sound
    if fault in UNGUARDED:
        assert POLICY in text
        text = text.replace(POLICY, "<meta data-was")
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    assert faults(browser, page, name) != []
