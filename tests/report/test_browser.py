"""The page in headless Chromium: silent console, nothing fetched, figures visible, links work, no sideways scroll, no axe violation.

Needs Debian's ``chromium`` and the extra ``browser`` (playwright, axe-playwright-python, which carries axe-core).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = 'install Chromium (apt-get install chromium) and pip install "omnigrok[browser]"'
playwright_api = pytest.importorskip("playwright.sync_api", reason=INSTALL)
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=INSTALL)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium on the path: {INSTALL}")
    with playwright_api.sync_playwright() as driver:
        # Root, as in a container, has no sandbox; the page is this test's own.
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """The page in a window of some width, with what the browser said and asked for."""

    def __init__(self, browser: Any, page: Path, width: int = 1200, scheme: str = "light", scripts: bool = True) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=scripts)
        self.tab = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(page.as_uri())


@pytest.fixture
def opened(browser: Any, page: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    window = Opened(browser, page, **getattr(request, "param", {}))
    yield window
    window.context.close()


@pytest.mark.parametrize("opened", [{"scripts": False}], indirect=True)
def test_silent_and_alone(opened: Opened, page: Path) -> None:
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [page.as_uri()]


def test_every_figure_is_drawn_and_visible(opened: Opened) -> None:
    boxes = opened.tab.eval_on_selector_all(
        "figure svg[role=img]", "all => all.map(svg => [svg.getBoundingClientRect().width, svg.getBoundingClientRect().height, "
        "svg.querySelectorAll('path').length, svg.getAttribute('aria-label')])",
    )  # fmt: skip
    assert len(boxes) == 35
    for width, height, paths, label in boxes:
        assert width > 150, label
        assert height > 80, label
        assert paths > 10, label
        assert label.startswith("Figure ")


def test_the_figure_of_a_card_opens_with_the_keyboard(opened: Opened) -> None:
    summary = opened.tab.locator("[id='fig02.inverse'] summary", has_text="here").first
    summary.focus()
    opened.tab.keyboard.press("Enter")
    box = opened.tab.locator("[id='fig02.inverse'] svg.again use").first.bounding_box()
    assert box is not None
    assert box["width"] > 100
    assert box["height"] > 80


def test_links_arrive(opened: Opened) -> None:
    missing = opened.tab.eval_on_selector_all(
        "a[href]", "all => all.map(a => a.getAttribute('href')).filter(to => !document.getElementById(to.slice(1)))"
    )
    assert missing == []
    opened.tab.locator("table a", has_text="fig02.inverse").first.click()
    assert opened.tab.url.endswith("#fig02.inverse")
    top = opened.tab.evaluate("document.getElementById('fig02.inverse').getBoundingClientRect().top")
    assert 0 <= top < 800


def test_tab_reaches_the_skip_link_first(opened: Opened) -> None:
    opened.tab.keyboard.press("Tab")
    assert opened.tab.evaluate("document.activeElement.className") == "skip"
    assert opened.tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


@pytest.mark.parametrize("opened", [{"width": width} for width in (360, 768, 1920)], ids=lambda each: str(each["width"]), indirect=True)
def test_no_sideways_scroll(opened: Opened) -> None:
    # With everything unfolded: what is hidden now will be opened.
    opened.tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    wide, window = opened.tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= window


def violations(results: Any) -> list[tuple[str, str]]:
    """(rule, the first place where it is broken)."""
    return [(each["id"], each["nodes"][0]["html"][:200]) for each in results.response["violations"]]


def test_accessibility(opened: Opened) -> None:
    opened.tab.evaluate("document.querySelectorAll('[id^=\"fig02\"] details').forEach(each => each.open = true)")
    results = axe.Axe().run(opened.tab)
    assert violations(results) == []
    assert len(results.response["passes"]) > 15


@pytest.mark.parametrize("opened", [{"scheme": "dark"}], ids=["dark"], indirect=True)
def test_contrast_in_the_dark(opened: Opened) -> None:
    results = axe.Axe().run(opened.tab, context="[id='summary'], [id^='fig02.']", options={"runOnly": ["color-contrast"]})
    assert violations(results) == []
    assert [each["id"] for each in results.response["passes"]] == ["color-contrast"]


def test_light_and_dark_differ(browser: Any, page: Path) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        window = Opened(browser, page, scheme=scheme)
        ground, ink = window.tab.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
        axis = window.tab.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
        assert axis == ink
        grounds.add(ground)
        window.context.close()
    assert len(grounds) == 2
