"""The page in headless Chromium: silent console, nothing fetched, figures visible, links work, no
sideways scroll, no axe violation.

The page is that of a smoke audit with made-up curves. Pages that real audits wrote are checked too
where ``OMNIGROK_PAGES`` names them (paths joined as in ``PATH``): ``.ci/run`` names the page of its
smoke audit and the one of the replayed paper tier.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .browsing import CHECKS, Opened, chromium, faults

WRITTEN = [Path(name) for name in os.environ.get("OMNIGROK_PAGES", "").split(os.pathsep) if name]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(params=[None, *WRITTEN], ids=lambda path: path.stem if path else "made up")
def any_page(request: pytest.FixtureRequest, page: Path) -> Path:
    """The made-up page, and those that audits wrote."""
    return Path(request.param or page).resolve()


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_is_wrong(browser: Any, any_page: Path, name: str) -> None:
    assert faults(browser, any_page, name) == []


@pytest.fixture
def opened(browser: Any, any_page: Path) -> Iterator[Opened]:
    with Opened(browser, any_page) as window:
        yield window


def test_every_figure_of_the_paper(browser: Any, page: Path) -> None:
    with Opened(browser, page) as window:
        assert window.tab.locator("figure svg[role=img]").count() == 35


def test_the_figure_of_a_card_opens_with_the_keyboard(opened: Opened) -> None:
    summary = opened.tab.locator("[id='fig02.inverse'] summary", has_text="here").first
    summary.focus()
    opened.tab.keyboard.press("Enter")
    box = opened.tab.locator("[id='fig02.inverse'] svg.again use").first.bounding_box()
    assert box is not None
    assert box["width"] > 100
    assert box["height"] > 80


def test_a_link_of_the_table_arrives(opened: Opened) -> None:
    opened.tab.locator("table a", has_text="fig02.inverse").first.click()
    assert opened.tab.url.endswith("#fig02.inverse")
    top = opened.tab.evaluate(
        "document.getElementById('fig02.inverse').getBoundingClientRect().top"
    )
    assert 0 <= top < 800


def test_tab_reaches_the_skip_link_first(opened: Opened) -> None:
    opened.tab.keyboard.press("Tab")
    assert opened.tab.evaluate("document.activeElement.className") == "skip"
    assert opened.tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


def test_light_and_dark_differ(browser: Any, page: Path) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        with Opened(browser, page, scheme=scheme) as window:
            ground, ink = window.tab.evaluate(
                "[getComputedStyle(document.body).backgroundColor, "
                "getComputedStyle(document.body).color]"
            )
            axis = window.tab.evaluate(
                "getComputedStyle(document.querySelector('figure svg text')).fill"
            )
            assert axis == ink
            grounds.add(ground)
    assert len(grounds) == 2


@pytest.mark.parametrize("opened_width", [360, 1200])
def test_a_verdict_has_its_word_for_a_screen_reader_where_only_its_mark_is_seen(
    browser: Any, page: Path, opened_width: int
) -> None:
    with Opened(browser, page, width=opened_width) as window:
        word = window.tab.locator("table.short td .verdict .word").first
        assert word.inner_text() in ("REPRODUCED", "REFUTED", "INCONCLUSIVE", "ERROR", "NOT RUN")
        box = word.bounding_box()
        assert box is not None
        assert (box["width"] <= 1) == (opened_width == 360)
