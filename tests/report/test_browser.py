"""The pages in headless Chromium: silent console, nothing fetched, figures visible, links work, no
sideways scroll, no axe violation; search, filters, permalinks, tabs, copying and printing.

The pages are those of a smoke audit with made-up curves: one file, and a site. Pages that real
audits wrote are checked too where ``OMNIGROK_PAGES`` names them (paths joined as in ``PATH``):
``.ci/run`` names those of its smoke audit and of the replayed paper tier.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit.document import parse
from omnigrok.report.changes import compare
from omnigrok.report.changes_page import render as render_comparison

from .browsing import CHECKS, Opened, chromium, faults
from .conftest import TWICE, document, row

WRITTEN = [Path(name) for name in os.environ.get("OMNIGROK_PAGES", "").split(os.pathsep) if name]
MADE_UP = ("file", "index", "figure")
SCREENS = 12  # of 1280 x 800 pixels, that an index has at most
CLAIM = "fig02.inverse"  # under two protocols in every page's audit but the smoke audit's
VISIBLE = "all => all.filter(each => each.checkVisibility()).map(each => each.dataset.claim)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def named(path: str | Path) -> str:
    return f"written {path.name}" if isinstance(path, Path) else path


def chosen(request: pytest.FixtureRequest) -> Path:
    """A page that an audit wrote, or a made-up one, which is drawn when it is first asked for."""
    if isinstance(request.param, Path):
        return request.param.resolve()
    if request.param == "file":
        return Path(request.getfixturevalue("page"))
    index = Path(request.getfixturevalue("site"))
    return index if request.param == "index" else index.with_name(f"{TWICE}.html")


@pytest.fixture(params=[*MADE_UP, *WRITTEN], ids=named)
def any_page(request: pytest.FixtureRequest) -> Path:
    return chosen(request)


@pytest.fixture(params=["file", "index", *WRITTEN], ids=named)
def list_page(request: pytest.FixtureRequest) -> Path:
    """Those with a list of all claims."""
    return chosen(request)


@pytest.fixture(params=["file", "figure", *WRITTEN], ids=named)
def card_page(request: pytest.FixtureRequest) -> Path:
    """Those with cards."""
    path = chosen(request)
    has_cards = f'id="{CLAIM}"' in path.read_text(encoding="utf-8")
    return path if has_cards else path.with_name(f"{TWICE}.html")


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_is_wrong(browser: Any, any_page: Path, name: str) -> None:
    assert faults(browser, any_page, name) == []


@pytest.fixture
def listed(browser: Any, list_page: Path) -> Iterator[Opened]:
    with Opened(browser, list_page, scripts=False) as window:
        yield window


@pytest.fixture
def cards(browser: Any, card_page: Path) -> Iterator[Opened]:
    with Opened(browser, card_page, scripts=False) as window:
        yield window


def visible(opened: Opened, verdict: str = "") -> list[str]:
    """Claims whose rows are seen, perhaps only those with some verdict."""
    wanted = f'[data-claim][data-entries*="{verdict}"]' if verdict else "[data-claim]"
    found: list[str] = opened.tab.eval_on_selector_all(wanted, VISIBLE)
    return found


def count(opened: Opened) -> int:
    """How many claims the form says that are shown."""
    return int(opened.tab.locator("form.filters output").inner_text().split()[0])


def tick(opened: Opened, name: str, value: str) -> None:
    filters = opened.tab.locator("form.filters details")
    filters.evaluate("each => { each.open = true; }")
    opened.tab.locator(f"form.filters input[name={name}][value={value}]").check()


def test_every_figure_of_the_paper(browser: Any, page: Path) -> None:
    with Opened(browser, page) as window:
        # Those of Figure 2 are there under two protocols.
        assert window.tab.locator(".sprites > symbol").count() == 35 + 3


def test_the_index_is_short(browser: Any, site: Path) -> None:
    indexes = [site, *(path.resolve() for path in WRITTEN if path.name == "index.html")]
    for path in indexes:
        with Opened(browser, path, width=1280) as window:
            assert window.tab.evaluate("document.documentElement.scrollHeight") <= SCREENS * 800


def test_a_filter_shows_its_claims_and_stands_in_the_address(listed: Opened) -> None:
    before = count(listed)
    tick(listed, "verdict", "REFUTED")
    assert listed.tab.url.endswith("#verdict=REFUTED")
    shown = visible(listed)
    assert shown == visible(listed, "REFUTED")
    assert 0 < len(shown) == count(listed) < before
    listed.tab.reload()
    assert visible(listed) == shown
    assert listed.tab.locator("input[value=REFUTED]").is_checked()


def test_filters_narrow_one_another(listed: Opened) -> None:
    tick(listed, "verdict", "REFUTED")
    tick(listed, "protocol", "paper")
    both = visible(listed)
    assert set(both) <= set(visible(listed, "paper|REFUTED"))
    listed.tab.locator("form.filters select").select_option(TWICE)
    assert set(visible(listed)) == {name for name in both if name.startswith("fig02.")}
    assert "figure=fig02_teacher_student" in listed.tab.url


def test_scale_leaves_out_what_was_not_run(listed: Opened) -> None:
    tick(listed, "scale", "full")
    assert visible(listed)
    assert set(visible(listed)) <= set(visible(listed, "|full"))
    assert not listed.tab.eval_on_selector_all("details.absent [data-claim]", VISIBLE)


def test_search_shows_what_it_finds_also_among_the_claims_that_were_not_run(listed: Opened) -> None:
    absent = listed.tab.locator("details.absent [data-claim]")
    # An audit can have run every claim.
    some = (absent if absent.count() else listed.tab.locator("[data-claim]")).last
    name = some.get_attribute("data-claim")
    listed.tab.locator("input[type=search]").fill(str(name))
    assert visible(listed) == [name]
    listed.tab.locator("input[type=search]").fill("no claim says this")
    assert visible(listed) == []
    assert listed.tab.locator(".nothing").is_visible()
    assert count(listed) == 0


def test_show_all(listed: Opened) -> None:
    before = count(listed)
    tick(listed, "verdict", "REFUTED")
    listed.tab.locator("button[type=reset]").click()
    listed.tab.locator("form.filters output", has_text=f"{before} of").wait_for()
    assert count(listed) == before
    assert "#" not in listed.tab.url


def test_filters_hide_the_cards_of_a_single_file(browser: Any, page: Path) -> None:
    with Opened(browser, page, scripts=False, fragment="#verdict=REFUTED") as window:
        shown = window.tab.eval_on_selector_all(
            "article.card", "all => all.filter(each => each.checkVisibility()).map(each => each.id)"
        )
        assert set(shown) == set(visible(window))
        # A link to a card that is hidden shows it again.
        hidden = window.tab.locator("article.card[hidden]").first.get_attribute("id")
        window.tab.evaluate(f"location.hash = '#{hidden}'")
        window.tab.locator(f"[id='{hidden}']").wait_for(state="visible")


def test_a_permalink_arrives(browser: Any, card_page: Path) -> None:
    with Opened(browser, card_page, fragment=f"#{CLAIM}") as window:
        top = window.tab.evaluate(f"document.getElementById('{CLAIM}').getBoundingClientRect().top")
        assert 0 <= top < 800


def test_a_row_leads_to_its_card(listed: Opened) -> None:
    listed.tab.locator(f".row[data-claim='{CLAIM}'] .id a").click()
    listed.tab.wait_for_load_state()
    assert listed.tab.url.endswith(f"#{CLAIM}")
    top = listed.tab.evaluate(f"document.getElementById('{CLAIM}').getBoundingClientRect().top")
    assert 0 <= top < 800


def tabs(opened: Opened) -> list[bool]:
    """Which protocols of a card are seen."""
    found: list[bool] = opened.tab.eval_on_selector_all(
        f"[id='{CLAIM}'] .tab", "all => all.map(each => each.checkVisibility())"
    )
    return found


@pytest.mark.parametrize("scripted", [True, False], ids=["script", "no script"])
def test_protocols_are_tabs_for_keyboard_and_pointer(
    browser: Any, page: Path, scripted: bool
) -> None:
    with Opened(browser, page, scripts=False, java_script_enabled=scripted) as window:
        first, second = (
            window.tab.locator(f"[id='tab-{CLAIM}-{name}']") for name in ("paper", "code")
        )
        panels = window.tab.locator(f"[id='{CLAIM}'] .tab")
        assert [panels.nth(place).is_visible() for place in range(2)] == [True, False]
        first.focus()
        window.tab.keyboard.press("ArrowRight")
        assert second.is_checked()
        assert [panels.nth(place).is_visible() for place in range(2)] == [False, True]
        window.tab.locator(f"label[for='tab-{CLAIM}-paper']").click()
        assert [panels.nth(place).is_visible() for place in range(2)] == [True, False]


def test_everything_is_readable_without_a_script(browser: Any, page: Path) -> None:
    with Opened(browser, page, java_script_enabled=False) as window:
        assert not window.tab.locator("form.filters").is_visible()
        assert not window.tab.locator("button.copy").first.is_visible()
        assert window.tab.locator(f"[id='{CLAIM}'] .statement").is_visible()
        assert window.tab.locator(f".row[data-claim='{CLAIM}']").is_visible()


def test_the_figure_of_a_card_is_seen(cards: Opened) -> None:
    box = cards.tab.locator(f"[id='{CLAIM}'] figure svg use").first.bounding_box()
    assert box is not None
    assert box["width"] > 100
    assert box["height"] > 80


def test_a_link_and_a_command_are_copied(browser: Any, page: Path) -> None:
    granted = ["clipboard-read", "clipboard-write"]
    with Opened(browser, page, scripts=False, permissions=granted) as window:
        for wanted in (f"#{CLAIM}", "pytest claims/"):
            window.tab.locator(f"[id='{CLAIM}'] [data-copy^='{wanted}']").first.click()
            window.tab.locator("button.copy", has_text="Copied").first.wait_for()
            copied = window.tab.evaluate("navigator.clipboard.readText()")
            assert wanted in copied
            assert copied.startswith(("file://", "pytest"))
            window.tab.locator("button.copy", has_text="Copied").first.wait_for(state="detached")


def test_findings_are_a_file(cards: Opened, tmp_path: Path) -> None:
    with cards.tab.expect_download() as started:
        cards.tab.locator(f"[id='{CLAIM}'] a[download]").click()
    assert started.value.suggested_filename == f"{CLAIM}.csv"
    started.value.save_as(tmp_path / "f.csv")
    head, *rows = (tmp_path / "f.csv").read_text().splitlines()
    assert head.startswith("id,protocol,role,name,verdict")
    assert rows
    assert all(row.startswith(f"{CLAIM},") for row in rows)


def test_tab_reaches_the_skip_link_first(listed: Opened) -> None:
    listed.tab.keyboard.press("Tab")
    assert listed.tab.evaluate("document.activeElement.className") == "skip"
    assert listed.tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


def test_a_term_explains_itself_to_the_keyboard(listed: Opened) -> None:
    term = listed.tab.locator("abbr.term").first
    term.focus()
    content = term.evaluate("each => getComputedStyle(each, '::after').content")
    assert content.strip('"') == term.get_attribute("title")


def test_light_and_dark_differ(browser: Any, page: Path) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        with Opened(browser, page, scheme=scheme) as window:
            ground, ink = window.tab.evaluate(
                "[getComputedStyle(document.body).backgroundColor, "
                "getComputedStyle(document.body).color]"
            )
            axis = window.tab.evaluate(
                "getComputedStyle(document.querySelector('.sprites text')).fill"
            )
            assert axis == ink
            grounds.add(ground)
    assert len(grounds) == 2


def test_print_shows_every_protocol_and_no_tools(cards: Opened) -> None:
    cards.tab.emulate_media(media="print")
    assert all(tabs(cards))
    for tool in (".contents", ".tablist", "button.copy"):
        assert not cards.tab.locator(tool).first.is_visible()
    cards.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert cards.tab.locator("details:not([open])").count() == 0
    cards.tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert cards.tab.locator("details:not([open])").count() > 0
    assert cards.tab.pdf()[:4] == b"%PDF"


def test_contents_stay_in_sight(browser: Any, page: Path) -> None:
    with Opened(browser, page, width=1280) as window:
        window.tab.evaluate("scrollTo(0, 5000)")
        box = window.tab.locator(".links").bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 100


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "figures"])
def test_nothing_is_wrong_with_a_comparison(browser: Any, tmp_path: Path, name: str) -> None:
    one = parse(document(row("fig02.inverse"), row("a.b")))
    other = parse(document(row("fig02.inverse", verdict="REFUTED"), row("a.b")))
    path = tmp_path / "compared.html"
    names = ("one.json", "other.json")
    path.write_text(render_comparison(compare(one, other), (one, other), names), encoding="utf-8")
    assert faults(browser, path, name) == []
