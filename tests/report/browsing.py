"""A page in headless Chromium, and what can be wrong with it: every check gives a list of faults,
empty for a page that is in order.

Needs Debian's ``chromium`` and the extra ``browser`` (playwright, axe-playwright-python, which
carries axe-core).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = (
    300_000  # milliseconds: a page of two megabytes on a machine that is busy with something else
)
INSTALL = 'install Chromium (apt-get install chromium) and pip install "omnigrok[browser]"'
playwright_api = pytest.importorskip("playwright.sync_api", reason=INSTALL)
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=INSTALL)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; skips with what to install where there is none."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium on the path: {INSTALL}")
    with playwright_api.sync_playwright() as driver:
        # Root, as in a container, has no sandbox; the page is this test's own.
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """The page in a window of some width, with what the browser said and asked for.

    Args:
        scripts: let the checks run scripts, which the page's own policy forbids.
        fragment: of the address, with #.
        more: of the browser's context.
    """

    def __init__(
        self,
        browser: Any,
        page: Path,
        width: int = 1200,
        scheme: str = "light",
        scripts: bool = True,
        fragment: str = "",
        **more: Any,
    ) -> None:
        self.page = page
        self.context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            bypass_csp=scripts,
            **more,
        )
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(PATIENCE)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(page.as_uri() + fragment)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def show_all(self) -> None:
        """Unfold everything, and show every protocol."""
        self.unfold()
        self.tab.evaluate(
            "document.querySelectorAll('.tab').forEach("
            "each => each.style.setProperty('display', 'block'))"
        )

    def unfold(self, within: str = "") -> None:
        """Open all details: what is hidden now will be opened."""
        self.tab.evaluate(
            f"document.querySelectorAll('{within} details').forEach(each => each.open = true)"
        )


def noise(opened: Opened) -> list[str]:
    """Messages in the console."""
    return opened.said


def requests(opened: Opened) -> list[str]:
    """Whatever was asked for besides the file itself."""
    own = opened.page.as_uri()
    return [url for url in opened.asked if not url.startswith("data:") and url != own]


def unseen(opened: Opened) -> list[str]:
    """Figures that are too small to see, or empty, under any protocol."""
    opened.show_all()
    boxes = opened.tab.eval_on_selector_all(
        "figure svg[role=img]",
        """all => all.map(svg => {
            const box = svg.getBoundingClientRect();
            const use = svg.querySelector("use");
            const drawn = use ? document.querySelector(use.getAttribute("href")) : svg;
            const paths = drawn ? drawn.querySelectorAll("path").length : 0;
            return [box.width, box.height, paths, svg.getAttribute("aria-label")];
        })""",
    )
    drawn = opened.page.read_text(encoding="utf-8").count("<figure")
    return [
        f"{label}: {width:.0f} x {height:.0f}, {paths} paths"
        for width, height, paths, label in boxes
        if width <= 150 or height <= 80 or paths <= 10 or not label
    ] + [f"{drawn} figures, {len(boxes)} drawings"] * (len(boxes) != drawn)


def dead_links(opened: Opened) -> list[str]:
    """Links to nowhere, and out of the page; the paper's own address is allowed."""
    found: list[list[Any]] = opened.tab.eval_on_selector_all(
        "a[href]",
        "all => all.map(a => [a.getAttribute('href'), a.matches('h1 > a[rel]'), "
        "a.hasAttribute('download')])",
    )
    return [to for to, paper, download in found if not _arrives(opened, to, paper, download)]


def _arrives(opened: Opened, to: str, paper: bool, download: bool) -> bool:
    if to.startswith("data:text/csv"):
        return download
    if ":" in to:
        return paper
    name, _, anchor = to.partition("#")
    target = opened.page.parent / name if name else opened.page
    return target.is_file() and (not anchor or f'id="{anchor}"' in _text(target))


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def sideways(opened: Opened) -> list[str]:
    """Pixels by which the page is wider than the window, with everything unfolded."""
    opened.show_all()
    wide, window = opened.tab.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    return [f"{wide} pixels wide in a window of {window}"] * (wide > window)


def violations(opened: Opened) -> list[str]:
    """What axe-core finds, with the first place of each rule; the cards of Figure 2 unfolded."""
    opened.unfold('[id^="fig02"]')
    results = axe.Axe().run(opened.tab)
    assert len(results.response["passes"]) > 12, "axe did not look at the page"
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in results.response["violations"]
    ]


def contrast(opened: Opened) -> list[str]:
    """Text that is hard to read."""
    results = axe.Axe().run(
        opened.tab,
        context="header, [id^='summary'], [id^='fig02.'], .added",
        options={"runOnly": ["color-contrast"]},
    )
    assert [each["id"] for each in results.response["passes"]] == ["color-contrast"]
    return [node["html"][:200] for each in results.response["violations"] for node in each["nodes"]]


Check = Callable[[Opened], list[str]]
# Each check with the window that it needs.
CHECKS: dict[str, tuple[Check, dict[str, Any]]] = {
    "console": (noise, {"scripts": False}),
    "requests": (requests, {"scripts": False}),
    "figures": (unseen, {}),
    "links": (dead_links, {}),
    "360 px": (sideways, {"width": 360}),
    "390 px": (sideways, {"width": 390}),
    "768 px": (sideways, {"width": 768}),
    "1920 px": (sideways, {"width": 1920}),
    "axe": (violations, {}),
    "contrast in the dark": (contrast, {"scheme": "dark"}),
}


def faults(browser: Any, page: Path, name: str) -> list[str]:
    """What a check finds on a page."""
    check, window = CHECKS[name]
    with Opened(browser, page, **window) as opened:
        return check(opened)
