"""The plot page in a real browser, with live changes."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.live_gallery import (
    BLUE,
    HOSTILE,
    MULTIPLICATION_SIGN,
    LiveGallery,
    png,
    serve_and_browse,
    violations,
    violations_in_dark_theme,
    zoom_of,
)
from tests.support.processes import wait_until

LOADED = """() => Object.fromEntries(performance.getEntriesByType("resource")
    .map(({ name, transferSize }) => [new URL(name).pathname, transferSize])
    .filter(([path]) => path.startsWith("/static/")))"""
"""The bytes received for each script, style and icon; 0 from the browser's cache."""
MEASURE = "image => [image.naturalWidth, Math.round(image.getBoundingClientRect().width)]"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[LiveGallery]:
    with serve_and_browse(tmp_path_factory.mktemp("plot"), browser) as site:
        yield site


def is_shown(page: Page) -> None:
    expect(page.locator("#stage img")).to_have_js_property("complete", True)


def test_zoom_and_pan(site: LiveGallery) -> None:
    site.draw("zoom/project_a/x.png", png(2000, 1500))
    site.sync()
    with site.page() as page:
        page.goto(site.plot("zoom", "x.png"))
        is_shown(page)
        expect(page.locator("#pixels")).to_have_text(f"2,000 {MULTIPLICATION_SIGN} 1,500")
        stage = page.locator("#stage")
        assert zoom_of(page) == 1
        page.keyboard.press("1")
        expect(page.locator(".percent")).to_have_text("100 %")
        wait_until(lambda: page.locator("#stage img").evaluate(MEASURE) == [2000, 2000])
        page.keyboard.press("0")
        wait_until(lambda: zoom_of(page) == 1)
        stage.hover()
        page.mouse.wheel(0, -400)
        wait_until(lambda: zoom_of(page) > 2)
        before = page.locator("#stage img").bounding_box()
        page.mouse.down()
        page.mouse.move(300, 500, steps=4)
        page.mouse.up()
        after = page.locator("#stage img").bounding_box()
        assert before is not None
        assert after is not None
        assert after["x"] < before["x"]
        assert after["width"] == pytest.approx(before["width"])
        stage.dblclick()
        wait_until(lambda: zoom_of(page) == 1)
        page.get_by_role("button", name="Zoom in").click()
        wait_until(lambda: zoom_of(page) == pytest.approx(1.4))
        page.keyboard.press("ArrowRight")
        assert page.url.endswith("x.png?")
        page.keyboard.press("Control+-")
        assert zoom_of(page) == pytest.approx(1.4)


def test_navigation_follows_the_order_of_the_session_page(site: LiveGallery) -> None:
    for name in "abcd":
        site.draw(f"order/project_a/{name}.png")
    site.sync()
    with site.page(has_touch=True) as page:
        page.goto(site.plot("order", "b.png"))
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile(r"/c\.png$"))
        kept = {"session": "order", "plots": [["d.png", None], ["c.png", None], ["a.png", None]]}
        page.evaluate("kept => sessionStorage.setItem('plotindex / order', kept)", json.dumps(kept))
        page.reload()
        expect(page.locator("#place")).to_have_text("2 of 3 plots")
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile(r"/a\.png$"))
        expect(page.locator("#next")).to_have_attribute("aria-disabled", "true")
        is_shown(page)
        box = page.locator("#stage").bounding_box()
        assert box is not None
        swipe(page, box["x"] + 100, box["x"] + 300, box["y"] + 200)
        expect(page).to_have_url(re.compile(r"/c\.png$"))
        is_shown(page)
        page.keyboard.press("Escape")
        expect(page).to_have_url(f"{site.url}/session/order")


def swipe(page: Page, start: float, end: float, y: float) -> None:
    """Swipe with one finger."""
    touch = page.context.new_cdp_session(page)
    for kind, x in (("touchStart", start), ("touchMove", (start + end) / 2), ("touchMove", end), ("touchEnd", None)):
        points = [] if x is None else [{"x": x, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_new_version_replaces_the_image_and_keeps_the_zoom(site: LiveGallery) -> None:
    site.draw("again/project_a/x.png", png(800, 600))
    site.sync()
    with site.page() as page:
        page.goto(site.plot("again", "x.png"))
        is_shown(page)
        page.keyboard.press("+")
        version = page.locator("#stage img").get_attribute("src")
        assert version is not None
        site.draw("again/project_a/x.png", png(800, 600, BLUE))
        expect(page.locator("#note")).to_have_text("Updated just now")
        expect(page.locator("#stage img")).not_to_have_attribute("src", version)
        wait_until(lambda: zoom_of(page) == pytest.approx(1.4))
        site.draw("again/project_a/x.png", png(640, 480, BLUE))
        expect(page.locator("#pixels")).to_have_text(f"640 {MULTIPLICATION_SIGN} 480")
        wait_until(lambda: zoom_of(page) == 1)


def test_links_stay_in_place_while_the_plot_is_drawn(site: LiveGallery) -> None:
    for project, age in (("a", 1), ("b", 2)):
        site.draw(f"clicks/project_{project}/x.png", age=age)
    site.draw("clicks/project_a/y.png")
    site.sync()
    with site.page() as page:
        page.goto(site.plot("clicks", "x.png"))
        is_shown(page)
        link = page.get_by_role("link", name="Next →")
        page.evaluate("for (const link of document.querySelectorAll('main a')) link.isKept = true")
        link.hover()
        page.mouse.down()
        site.draw("clicks/project_a/x.png", png(500, 500), age=3)
        expect(page.locator("#note")).to_have_text("Updated just now by project_a")
        expect(page.locator(".copies li").first).to_contain_text("project_a")
        assert page.evaluate("[...document.querySelectorAll('main a')].every(link => link.isKept)")
        page.mouse.up()
        page.wait_for_url("**/plot/clicks/y.png*")


def test_note_of_an_update_leaves_while_updates_go_on(site: LiveGallery) -> None:
    site.draw("often/project_a/x.png", png(100, 100))
    site.sync()
    with site.page() as page:
        page.goto(site.plot("often", "x.png"))
        is_shown(page)
        widths = iter(range(101, 1000))

        def note_after_update() -> str | None:
            width = next(widths)
            site.draw("often/project_a/x.png", png(width, 100))
            expect(page.locator("#pixels")).to_have_text(f"{width} {MULTIPLICATION_SIGN} 100")
            return page.locator("#note").text_content()

        wait_until(lambda: note_after_update() == "Updated just now")
        # Each of these is far within the time that a note stays.
        wait_until(lambda: note_after_update() == "", seconds=15)


def test_page_follows_the_current_copy_or_the_given_project(site: LiveGallery) -> None:
    site.draw("copies/project_a/x.png", age=1)
    site.draw("copies/project_b/x.png", age=2)
    site.sync()
    with site.page() as follows, site.page() as stays:
        follows.goto(site.plot("copies", "x.png"))
        stays.goto(site.plot("copies", "x.png", project="project_b"))
        for page in (follows, stays):
            is_shown(page)
            expect(page.locator("#facts dd").first).to_have_text("project_b")
            expect(page.locator(".copies [aria-current]")).to_contain_text("project_b")
            expect(page.get_by_role("link", name="Compare all 2 copies")).to_be_visible()
        site.draw("copies/project_a/x.png", png(500, 500), age=3)
        expect(follows.locator("#note")).to_have_text(re.compile("^Updated just now"))
        expect(follows.locator("#facts dd").first).to_have_text("project_a")
        expect(stays.locator(".copies li").first).to_contain_text("project_a")
        expect(stays.locator("#facts dd").first).to_have_text("project_b")


def test_removed_plot_stays_visible_with_a_note(site: LiveGallery) -> None:
    file = site.draw("removed/project_a/x.png")
    site.draw("removed/project_a/y.png")
    site.sync()
    with site.page() as page:
        page.goto(site.plot("removed", "x.png"))
        is_shown(page)
        file.unlink()
        expect(page.locator("#note")).to_have_text("This plot was removed. Its last version is shown.")
        is_shown(page)
        site.draw("removed/project_a/x.png", png(123, 45))
        expect(page.locator("#pixels")).to_have_text(f"123 {MULTIPLICATION_SIGN} 45")


def test_svg_fills_the_stage(site: LiveGallery) -> None:
    site.draw("svg/project_a/x.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>')
    site.sync()
    with site.page() as page:
        page.goto(site.plot("svg", "x.svg"))
        expect(page.locator("#pixels")).to_have_text(f"40 {MULTIPLICATION_SIGN} 30 (vector)")
        assert page.locator("#stage img").evaluate(MEASURE)[1] > 500


def test_icons_are_pixelated_and_invalid_images_reported(site: LiveGallery) -> None:
    site.draw("odd/project_a/icon.png", png(16, 16, BLUE))
    site.draw("odd/project_a/broken.png", b"no picture")
    site.sync()
    with site.page() as page:
        page.goto(site.plot("odd", "icon.png"))
        is_shown(page)
        assert page.locator("#stage img").evaluate(MEASURE) == [16, 192]
        expect(page.locator("#stage img")).to_have_css("image-rendering", "pixelated")
        page.goto(site.plot("odd", "broken.png"))
        says = re.compile("Cannot display this file")
        expect(page.locator("#stage")).to_have_attribute("data-says", says)


def test_copy_link_with_and_without_clipboard(site: LiveGallery) -> None:
    site.draw("copy/project_a/x.png", png(800, 600))
    site.sync()
    with site.page(permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto(site.plot("copy", "x.png"))
        page.get_by_role("button", name="Copy link").click()
        expect(page.locator("#note")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == page.url
        page.get_by_role("button", name="Copy image address").click()
        address = f"{site.url}/api/smartstat/plots/copy/x.png"
        wait_until(lambda: page.evaluate("navigator.clipboard.readText()") == address)
    with site.page() as page:
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.goto(site.plot("copy", "x.png"))
        is_shown(page)
        page.get_by_role("button", name="Copy link").click()
        field = page.locator(".address")
        expect(field).to_be_focused()
        expect(field).to_have_value(page.url)
        assert page.evaluate("getSelection().toString()") == page.url
        page.keyboard.press("+")
        assert zoom_of(page) == 1
        with page.expect_download() as started:
            page.get_by_role("link", name="Download").click()
        assert started.value.suggested_filename == "x.png"


def test_hostile_name_is_text(site: LiveGallery) -> None:
    site.draw(f"hostile/project_a/{HOSTILE}")
    site.draw(f"hostile/project_b/{HOSTILE}")
    site.sync()
    with site.page() as page:
        page.goto(site.plot("hostile", HOSTILE))
        is_shown(page)
        assert page.locator("h1 bdi").text_content() == HOSTILE
        assert page.locator("main img").count() == 3
        page.get_by_role("link", name="Compare all 2 copies").click()
        assert page.locator("h1 bdi").text_content() == HOSTILE
        expect(page.locator("figure img")).to_have_count(2)


def test_plot_page_is_accessible_and_fits_a_phone(site: LiveGallery) -> None:
    for project in ("project_a", "project_b"):
        site.draw(f"axe/{project}/{'long_name_' * 20}.png")
    site.sync()
    with site.page(viewport={"width": 360, "height": 700}) as page:
        page.goto(site.plot("axe", f"{'long_name_' * 20}.png"))
        is_shown(page)
        assert (violations(page), violations_in_dark_theme(page)) == ([], [])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_scripts_and_styles_are_named_in_the_page_and_requested_once(site: LiveGallery) -> None:
    for name in ("a.png", "b.png"):
        site.draw(f"assets/project_a/{name}")
    site.sync()
    with site.page() as page:
        page.goto(site.plot("assets", "a.png"))
        is_shown(page)
        first = page.evaluate(LOADED)
        assert len([name for name in first if name.endswith(".js")]) > 5
        named = page.evaluate("fetch(location.href).then((response) => response.text())")
        assert [name for name in first if f'"{name}"' not in named] == []
        page.goto(site.plot("assets", "b.png"))
        is_shown(page)
        assert page.evaluate(LOADED) == dict.fromkeys(first, 0)
