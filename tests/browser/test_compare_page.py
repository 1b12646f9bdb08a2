"""The comparison page in a real browser, with live changes."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.support.images import encoded
from tests.support.live_gallery import (
    BLUE,
    MULTIPLICATION_SIGN,
    LiveGallery,
    png,
    serve_and_browse,
    violations,
    violations_in_dark_theme,
    zoom_of,
)
from tests.support.processes import wait_until

PLACED = """sheet => {
  const { a, e, f } = new DOMMatrix(getComputedStyle(sheet).transform), image = sheet.querySelector("img");
  return [a, e / a / image.clientWidth, f / a / image.clientHeight].map((number) => Number(number.toFixed(2)));
}"""
"""Zoom of an image, and its offset as a fraction of its size."""
COVERED = "images => images.map(({ style, offsetWidth }) => 1 - parseFloat(style.paddingRight) / offsetWidth)"
"""The share of the frame's width that each image covers."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[LiveGallery]:
    with serve_and_browse(tmp_path_factory.mktemp("compare"), browser) as site:
        yield site


def are_shown(page: Page, count: int) -> None:
    expect(page.locator("#cells .sheet img[src]")).to_have_count(count)
    wait_until(lambda: page.evaluate("[...document.querySelectorAll('#cells img')].every((image) => image.complete)"))


def placed(page: Page, index: int) -> list[float]:
    place: list[float] = page.locator("#cells .sheet").nth(index).evaluate(PLACED)
    return place


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_linked_stages_show_the_same_part(site: LiveGallery) -> None:
    site.draw("linked/project_a/x.png", png(1600, 1200), age=2)
    site.draw("linked/project_b/x.png", png(80, 60), age=1)
    site.sync()
    with site.page() as page:
        page.goto(site.compare("linked", "x.png"))
        are_shown(page, 2)
        expect(page.locator("#cells img").first).to_have_attribute("src", re.compile("&width="))
        first = page.locator("#cells .stage").first
        first.hover(position={"x": 100, "y": 100})
        page.mouse.wheel(0, -500)
        wait_until(lambda: placed(page, 0)[0] > 2)
        wait_until(lambda: placed(page, 1) == placed(page, 0))
        assert placed(page, 0)[1] > 0
        widths = page.locator("#cells img").evaluate_all("all => all.map((one) => one.getBoundingClientRect().width)")
        # Zoomed in, the full-size image replaces the thumbnail.
        expect(page.locator("#cells img").first).not_to_have_attribute("src", re.compile("&width="))
        assert widths[0] == pytest.approx(widths[1], abs=1)
        button(page, "Linked")
        before = placed(page, 1)
        first.focus()
        page.keyboard.press("+")
        wait_until(lambda: placed(page, 0)[0] > before[0] + 0.5)
        assert placed(page, 1) == before
        button(page, "Linked")
        wait_until(lambda: placed(page, 1) == placed(page, 0))
        expect(page.locator("figure").first).to_contain_text("project_a")
        page.get_by_label("Order").select_option("oldest")
        expect(page.locator("figure").first).to_contain_text("project_b")


def test_slider_and_difference_of_two_images(site: LiveGallery) -> None:
    site.draw("pair/project_a/x.png", png(), age=1)
    site.draw("pair/project_b/x.png", png(dots={(10, 10): BLUE, (12, 13): (255, 255, 200)}), age=2)
    site.draw("pair/project_c/x.png", png(), age=3)
    site.sync()
    with site.page() as page:
        page.goto(site.compare("pair", "x.png"))
        button(page, "Slider")
        expect(page.locator("#pair img")).to_have_count(2)
        expect(page.get_by_label("Right", exact=True)).to_have_value("pair/project_c/x.png")
        page.get_by_label("Left", exact=True).select_option("pair/project_a/x.png")
        divider = page.get_by_role("slider", name="Divider")
        divider.press("Home")
        expect(page.locator(".veil")).to_have_css("clip-path", "inset(0px 0px 0px 0%)")
        divider.press("ArrowRight")
        expect(page.locator(".veil")).to_have_css("clip-path", "inset(0px 0px 0px 0.5%)")
        button(page, "Difference")
        expect(page.locator("#result")).to_have_text("The images are identical, pixel by pixel.")
        expect(page.locator(".veil")).to_have_css("mix-blend-mode", "difference")
        page.get_by_label("Right", exact=True).select_option("pair/project_b/x.png")
        share = "Less than 0.01 % of the pixels differ (2 of 120,000), by 224 of 255 at most."
        expect(page.locator("#result")).to_have_text(share)
        page.get_by_label("Amplify").press("End")
        expect(page.locator(".blend")).to_have_css("filter", "brightness(32)")
        button(page, "Zoom to the difference")
        wait_until(lambda: zoom_of(page, "#pair") > 4)


def test_images_of_different_sizes_are_aligned_or_scaled(site: LiveGallery) -> None:
    site.draw("unlike/project_a/x.png", png(400, 300), age=1)
    site.draw("unlike/project_b/x.png", png(404, 300, dots={(10, 10): BLUE, (402, 10): BLUE}), age=2)
    site.sync()
    with site.page() as page:
        page.goto(site.compare("unlike", "x.png", view="difference"))
        expect(page.locator("#sizes p")).to_have_text(
            f"Left 400 {MULTIPLICATION_SIGN} 300, right 404 {MULTIPLICATION_SIGN} 300 pixels, aligned at the top left."
        )
        expect(page.locator("#result")).to_contain_text("(2 of 121,200)")
        parts = page.locator("#pair img").evaluate_all(COVERED)
        assert parts == [pytest.approx(400 / 404, abs=0.001), 1]
        button(page, "Scale to one size")
        expect(page.locator("#sizes p")).to_contain_text("scaled to one size")
        wait_until(lambda: page.locator("#pair img").evaluate_all(COVERED) == [1, 1])
        page.wait_for_url("**sizes=scaled**")
        page.reload()
        expect(page.locator("#sizes p")).to_contain_text("scaled to one size")
        button(page, "Slider")
        expect(page.get_by_role("button", name="Scale to one size")).to_have_attribute("aria-pressed", "true")


def test_difference_between_any_two_formats(site: LiveGallery) -> None:
    square = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="40%s" height="30%s"><path d="M0 0H40V30H0Z" fill="#fff"/></svg>'
    )
    site.draw("any/project_a/x.png", png(400, 300))
    site.draw("any/project_a/x.svg", (square % ("", "")).encode())
    site.draw("any/project_a/x.tif", encoded(Image.new("RGB", (400, 300), "white"), "TIFF"))
    site.draw("any/project_a/x.pdf", encoded(Image.new("RGB", (400, 300), "white"), "PDF"))
    site.draw("any/project_a/y.svg", (square % ("0", "0")).encode())
    site.sync()
    with site.page() as page:
        for one, other in (("png", "svg"), ("svg", "pdf"), ("pdf", "tif"), ("tif", "png")):
            paths = [("plot", f"any/project_a/x.{suffix}") for suffix in (one, other)]
            page.goto(f"{site.url}/compare?{urlencode([*paths, ('view', 'difference')])}")
            expect(page.locator("#result"), f"{one} {other}").to_have_text("The images are identical, pixel by pixel.")
            expect(page.locator("#pair img")).to_have_count(2)
        paths = [("plot", f"any/project_a/{name}.svg") for name in "xy"]
        page.goto(f"{site.url}/compare?{urlencode([*paths, ('view', 'slider')])}")
        expect(page.locator("#sizes p")).to_contain_text(
            f"Left 256 {MULTIPLICATION_SIGN} 192, right 2560 {MULTIPLICATION_SIGN} 1920 pixels"
        )
        button(page, "One at a time")
        expect(page.locator("#one img")).to_have_count(1)


def test_time_player_by_keys_keeps_the_zoom(site: LiveGallery) -> None:
    for age in range(4):
        site.draw(f"time/project_{age}/x.png", age=age)
    site.sync()
    with site.page() as page:
        page.goto(site.compare("time", "x.png"))
        button(page, "One at a time")
        says = page.locator("#step-says")
        expect(says).to_contain_text("project_3 4 of 4")
        expect(page.locator("#one img")).to_have_attribute("src", re.compile("project_3"))
        page.keyboard.press("+")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(says).to_contain_text("project_1 2 of 4")
        expect(page.locator("#one img")).to_have_attribute("src", re.compile("project_1"))
        assert zoom_of(page, "#one") == pytest.approx(1.4)
        slider = page.get_by_role("slider", name="Copy, from oldest to newest")
        slider.press("Home")
        expect(says).to_contain_text("project_0 1 of 4")
        expect(page.get_by_role("button", name="Earlier")).to_be_disabled()
        button(page, "Play")
        expect(says).to_contain_text("project_1 2 of 4")
        button(page, "Pause")


def test_url_restores_view_and_part(site: LiveGallery) -> None:
    for age in range(3):
        site.draw(f"address/project_{age}/x.png", age=age)
    site.sync()
    with site.page() as page:
        page.goto(site.compare("address", "x.png"))
        are_shown(page, 3)
        button(page, "Difference")
        page.get_by_label("Left", exact=True).select_option("address/project_0/x.png")
        page.get_by_label("Amplify").press("End")
        page.keyboard.press("+")
        for said in ("view=difference", "left=project_0", "right=project_2", "amplify=32", "zoom=1.4"):
            expect(page).to_have_url(re.compile(re.escape(said)))
        page.reload()
        expect(page.get_by_role("button", name="Difference")).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_label("Left", exact=True)).to_have_value("address/project_0/x.png")
        expect(page.locator("#amplified")).to_have_text(f"32 {MULTIPLICATION_SIGN}")
        wait_until(lambda: zoom_of(page, "#pair") == pytest.approx(1.4))
        page.goto(site.compare("address", "x.png", view="one", at="project_1", zoom="2", x="0.3", y="0.5"))
        expect(page.locator("#step-says")).to_contain_text("project_1 2 of 3")
        expect(page.locator("#one img[src]")).to_have_count(1)
        wait_until(lambda: zoom_of(page, "#one") == 2)


def test_comparison_follows_changes(site: LiveGallery) -> None:
    site.draw("live/project_a/x.png", age=1)
    site.sync()
    with site.page() as page:
        page.goto(site.compare("live", "x.png"))
        are_shown(page, 1)
        expect(page.locator("#reason")).to_contain_text("There is only one copy.")
        expect(page.get_by_role("button", name="Slider")).to_be_disabled()
        second = site.draw("live/project_b/x.png", age=2)
        expect(page.locator("#note")).to_have_text("project_b updated just now")
        are_shown(page, 2)
        expect(page.locator("figure").first).to_contain_text("project_b")
        expect(page.locator("h1")).to_have_text("2 copies of x.png")
        expect(page.get_by_role("button", name="Slider")).to_be_enabled()
        before = page.locator("figure img").nth(1).get_attribute("src")
        assert before is not None
        site.draw("live/project_a/x.png", png(400, 300, BLUE), age=1)
        expect(page.locator("figure img").nth(1)).not_to_have_attribute("src", before)
        second.unlink()
        expect(page.locator("#note")).to_have_text("project_b removed")
        are_shown(page, 1)


def test_comparison_across_sessions_reports_missing_plots(site: LiveGallery) -> None:
    site.draw("one/project_a/x.png")
    site.draw("two/project_b/sub/y.png")
    site.sync()
    paths = ["one/project_a/x.png", "two/project_b/sub/y.png", "two/project_b/gone.png"]
    with site.page() as page:
        page.goto(f"{site.url}/compare?{urlencode([('plot', path) for path in paths])}")
        are_shown(page, 2)
        expect(page.locator("#absent")).to_have_text("One plot was not found.")
        expect(page.locator("figure")).to_contain_text(["y.png", "x.png"])
        site.draw("two/project_b/gone.png")
        are_shown(page, 3)
        expect(page.locator("#absent")).to_have_text("")


def test_many_copies_are_limited_and_loaded_lazily(site: LiveGallery) -> None:
    for age in range(205):
        site.draw(f"many/project_{age:03}/x.png", png(40, 30), age=age)
    site.sync()
    with site.page() as page:
        page.goto(site.compare("many", "x.png"))
        expect(page.locator("figure")).to_have_count(200)
        expect(page.locator("#absent")).to_have_text("The newest 200 of 205 copies are shown.")
        expect(page.locator("figure").first.locator("img")).to_have_js_property("complete", True)
        assert page.locator("#cells .sheet img[src]").count() < 60
        last = page.locator("figure").last
        last.scroll_into_view_if_needed()
        expect(last).to_contain_text("project_005")
        expect(last.locator("img[src]")).to_have_count(1)


def test_comparison_is_accessible_and_fits_a_phone(site: LiveGallery) -> None:
    for project in ("project_a", "project_b", f"project_{'c' * 100}"):
        site.draw(f"axe/{project}/x.png")
    site.sync()
    with site.page(viewport={"width": 360, "height": 700}) as page:
        page.goto(site.compare("axe", "x.png"))
        are_shown(page, 3)
        for name in ("Side by side", "One at a time", "Slider", "Difference"):
            button(page, name)
            assert (name, violations(page), violations_in_dark_theme(page)) == (name, [], [])
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
