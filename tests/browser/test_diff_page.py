"""The page of what changed, in a real browser."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.rendering.test_comparison import plot
from tests.support.images import encoded
from tests.support.live_gallery import LiveGallery, serve_and_browse, violations, violations_in_dark_theme
from tests.support.processes import wait_until

COMPARED = 60_000
"""Milliseconds within which all plots are compared on a busy machine."""
HEIGHTS = {"much.png": 160, "more.png": 120, "little.png": 84}
"""Plots that changed, the most changed first, and the height of a bar that was 80."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[LiveGallery]:
    with serve_and_browse(tmp_path_factory.mktemp("diff"), browser) as site:
        for name, height in HEIGHTS.items():
            site.draw(f"a/project_1/{name}", encoded(plot(50, 80)))
            site.draw(f"b/project_1/{name}", encoded(plot(50, height)))
        site.draw("a/project_1/same.png", encoded(plot(50, 80)))
        site.draw("b/project_1/same.png", encoded(plot(50, 80)))
        site.draw("b/project_1/new.png", encoded(plot(70, 80)))
        site.draw("b/project_2/new.png", encoded(plot(70, 120)))
        site.sync()
        yield site


def address(site: LiveGallery, before: str, after: str, **query: str) -> str:
    return f"{site.url}/diff?{urlencode({'from': before, 'to': after, **query})}"


def names(page: Page) -> list[str]:
    return page.locator("#list bdi").all_inner_texts()


def opened(site: LiveGallery, page: Page, before: str = "a", after: str = "b", count: int = 4) -> None:
    """Open the page, and wait until so many plots are listed and compared."""
    page.goto(address(site, before, after))
    expect(page.locator("#list .kind:not([data-kind=null])")).to_have_count(count, timeout=COMPARED)
    expect(page.locator("#pending")).to_be_empty()
    wait_until(lambda: page.evaluate("[...document.querySelectorAll('#cells img')].every((image) => image.complete)"))


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_the_most_changed_is_shown_first_with_both_pictures_and_regions(site: LiveGallery) -> None:
    with site.page() as page:
        opened(site, page)
        assert names(page) == [*HEIGHTS, "new.png"]
        # Until somebody chooses, the first one is shown, whichever was compared first.
        expect(page.locator("#name")).to_have_text("much.png")
        expect(page.locator("#cells .sheet img[src]")).to_have_count(2)
        expect(page.locator("#cells figure .boxes i")).to_have_count(2)
        expect(page.locator("#words")).to_have_text("differs in 1 place")
        box, sheet = (page.locator(f"#cells {part}").first.bounding_box() for part in (".boxes i", ".sheet img"))
        assert box is not None and sheet is not None
        assert sheet["x"] < box["x"] and box["x"] + box["width"] < sheet["x"] + sheet["width"]
        assert box["height"] < sheet["height"]
        expect(page.locator('[data-kind="changed"].quiet .number')).to_have_text("3")
        assert violations(page) == []
        assert violations_in_dark_theme(page) == []


def test_it_is_gone_through_by_keyboard_and_blinks(site: LiveGallery) -> None:
    with site.page(reduced_motion="reduce") as page:
        opened(site, page)
        shown = []
        for key in "kkkjjjj":
            page.keyboard.press(key)
            shown.append(page.locator("#name").inner_text())
        assert shown[-4:] == ["more.png", "little.png", "new.png", "new.png"]
        page.keyboard.press("k")
        page.keyboard.press(" ")
        pair = page.locator("#pair")
        expect(pair).to_have_attribute("data-shown", "to")
        page.keyboard.press(" ")
        expect(pair).to_have_attribute("data-shown", "from")
        expect(page.locator("#list [aria-current]")).to_contain_text("little.png")


def test_what_is_accepted_is_hidden_until_it_changes_again(site: LiveGallery) -> None:
    for session, height in (("c", 80), ("d", 84)):
        for name in ("x.png", "y.png"):
            site.draw(f"{session}/project_1/{name}", encoded(plot(50, height + 10 * (name == "y.png"))))
    site.sync()
    with site.page() as page:
        opened(site, page, "c", "d", 2)
        accepted = page.locator("#name").inner_text()
        page.keyboard.press("a")
        wait_until(lambda: accepted not in names(page))
        page.reload()
        expect(page.locator("#name")).not_to_be_empty(timeout=COMPARED)
        assert accepted not in names(page) and len(names(page)) == 1
        page.locator('button[data-kind="accepted"]').click()
        wait_until(lambda: names(page) == [accepted])
        page.locator('button[data-kind=""]').click()
        site.draw(f"d/project_1/{accepted}", encoded(plot(50, 150)))
        wait_until(lambda: accepted in names(page), 60)


def test_kinds_filter_and_the_address_keeps_the_choice(site: LiveGallery) -> None:
    with site.page() as page:
        opened(site, page)
        page.locator('button[data-kind="new"]').click()
        wait_until(lambda: names(page) == ["new.png"])
        expect(page.get_by_role("button", name="Slider")).to_be_disabled()
        expect(page).to_have_url(re.compile("kind=new"))
        page.reload()
        wait_until(lambda: names(page) == ["new.png"])
        page.locator('button[data-kind="same"]').click()
        wait_until(lambda: names(page) == ["same.png"])


@pytest.mark.parametrize("view", ["Slider", "Difference"])
def test_pictures_are_shown_in_other_views(site: LiveGallery, view: str) -> None:
    with site.page() as page:
        opened(site, page)
        button(page, view)
        expect(page.locator("#cells")).to_be_hidden()
        expect(page.locator("#pair")).to_be_visible()
        expect(page).to_have_url(re.compile(f"view={view.lower()}"))
        expect(page.locator(f"#diff[data-view={view.lower()}]")).to_have_count(1)


def test_sides_are_chosen_from_home_and_from_a_session(site: LiveGallery) -> None:
    with site.page() as page:
        page.goto(site.url)
        page.get_by_role("link", name="Compare two sessions").click()
        page.get_by_label("Before").fill("a")
        page.get_by_label("After").fill("b")
        assert violations(page) == []
        button(page, "Compare")
        expect(page.locator("h1")).to_have_text("a → b")
        page.goto(f"{site.url}/session/b")
        page.get_by_role("link", name="What changed").click()
        yesterday = page.get_by_role("link", name="Since yesterday")
        expect(yesterday).to_have_attribute("href", re.compile(r"from=b%40\d{4}-\d\d-\d\dT.*to=b"))
        page.get_by_role("button", name="Compare").first.click()
        expect(page.locator("h1")).to_have_text("b/project_1 → b/project_2")
        wait_until(lambda: "new.png" in names(page), 60)


def test_a_side_that_is_not_there_is_said(site: LiveGallery) -> None:
    with site.page() as page:
        page.goto(address(site, "a", "nowhere"))
        expect(page.locator("#none")).to_have_text("Session not found.")


def test_a_phone_shows_pictures_without_sideways_scrolling(site: LiveGallery) -> None:
    with site.page(viewport={"width": 390, "height": 800}) as page:
        opened(site, page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []
        first = page.locator("#name").inner_text()
        button(page, "Next →")
        expect(page.locator("#name")).not_to_have_text(first)
