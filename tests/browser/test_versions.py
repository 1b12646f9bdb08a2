"""The versions of a plot on its page and in the comparison, and removed plots on the session's page."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.gallery_pages import Gallery, card, page_without_errors, run_gallery
from tests.support.history import HistorySite, history_before_start
from tests.support.live_gallery import BLUE, png, violations, violations_in_dark_theme
from tests.support.processes import draw, wait_until

RED = (200, 30, 30)
VERSIONS = [png(100 + number, 75, (255, 40 * number, 0)) for number in range(5)]
"""Each has a width of its own."""
PLOT = "/plot/s/residuals.png"
WIDTH_OF_STAGE = "image => image.naturalWidth"


def seed(site: HistorySite) -> None:
    for content in (png(5, 5), png(6, 6), png(7, 7)):
        site.draw("s/project_a/hasty.png", content)
        site.keep(seconds=0)
    for content in VERSIONS:
        site.draw("s/project_a/residuals.png", content)
        site.keep()
    for number in range(16):
        site.draw("many/project_a/x.png", png(40 + number, 30))
        site.keep()
    for name in ("once.png", "sub/gone.png", "sub/old.png"):
        site.draw(f"s/project_a/{name}", png(60, 45, BLUE))
    site.keep()
    site.draw("s/project_a/sub/gone.png", png(61, 45, RED))
    site.keep()
    shutil.rmtree(site.root / "s/project_a/sub")
    site.keep()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("versions")
    with history_before_start(folder) as site:
        seed(site)
    with run_gallery(folder) as gallery:
        yield gallery


def width_shown(page: Page) -> int:
    return int(page.locator("#stage img").evaluate(WIDTH_OF_STAGE))


def is_shown(page: Page, number: int) -> None:
    expect(page.locator("#version b")).to_have_text(f"Version {number} of {len(VERSIONS)}")
    wait_until(lambda: width_shown(page) == 99 + number)


def open_plot(page: Page, path: str = PLOT) -> None:
    page.goto(path)
    expect(page.locator("#past")).to_be_visible()


def slider(page: Page) -> tuple[float, float, float]:
    """The left edge, the width and the vertical centre of the line of time."""
    page.locator("#line").scroll_into_view_if_needed()
    box = page.locator("#line").bounding_box()
    assert box is not None
    return box["x"], box["width"], box["y"] + box["height"] / 2


def test_arrow_keys_step_through_the_versions_and_the_address_keeps_the_place(page: Page) -> None:
    open_plot(page)
    is_shown(page, 5)
    step = page.get_by_role("slider", name="Version, from oldest to newest")
    step.focus()
    for number in (4, 3):
        page.keyboard.press("ArrowLeft")
        is_shown(page, number)
    expect(step).to_have_attribute("aria-valuetext", re.compile("^Version 3 of 5, drawn "))
    expect(page.locator("#pixels")).to_have_text(re.compile("^102 "))
    expect(page.locator("#bytes")).to_have_text(f"{len(VERSIONS[2])} B")
    page.keyboard.press("Home")
    is_shown(page, 1)
    expect(page.get_by_role("button", name="← Earlier")).to_be_disabled()
    page.wait_for_url(re.compile(r"[?&]version=[0-9a-f]{16}"))
    page.reload()
    is_shown(page, 1)
    page.get_by_role("button", name="Later →").click()
    is_shown(page, 2)
    step.press("End")
    is_shown(page, 5)
    page.wait_for_url(re.compile(r"residuals\.png$"))


def test_dragging_along_the_pictures_shows_each_version(page: Page) -> None:
    open_plot(page)
    expect(page.locator("#line li")).to_have_count(5)
    expect(page.locator("#line img[src]")).to_have_count(5)
    left, width, middle = slider(page)
    page.mouse.move(left + width * 0.9, middle)
    page.mouse.down()
    for number in (4, 2, 1):
        page.mouse.move(left + width * (number - 0.5) / 5, middle, steps=4)
        is_shown(page, number)
    page.mouse.up()
    page.mouse.click(left + width * 0.5, middle)
    is_shown(page, 3)


def test_playing_shows_all_versions_once(page: Page) -> None:
    open_plot(page)
    page.evaluate("""() => {
      const caption = document.querySelector("#version b"), seen = (window.seen = []);
      const note = () => seen.push(Number(caption.textContent.split(" ")[1]));
      new MutationObserver(note).observe(caption, { childList: true });
    }""")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert page.evaluate("seen") == list(range(1, 6))
    is_shown(page, 5)


def test_many_versions_have_as_many_pictures_as_there_is_room_for(page: Page) -> None:
    open_plot(page, "/plot/many/x.png")
    expect(page.locator("#version b")).to_have_text("Version 16 of 16")
    pictures = page.locator("#line li").count()
    assert 4 < pictures < 16
    page.get_by_role("slider").press("PageDown")
    wait_until(lambda: width_shown(page) < 55)
    left, width, middle = slider(page)
    page.mouse.click(left + width / pictures / 2, middle)
    wait_until(lambda: width_shown(page) == 40)


def test_versions_that_were_overwritten_too_quickly_are_told(page: Page) -> None:
    page.goto("/plot/s/hasty.png")
    expect(page.get_by_text("2 versions were overwritten too quickly to keep.")).to_be_visible()
    expect(page.locator("#past")).to_be_hidden()
    page.goto(PLOT)
    expect(page.locator("#lost")).to_be_hidden()


def test_a_version_is_downloaded(page: Page) -> None:
    open_plot(page)
    page.get_by_role("slider").press("ArrowLeft")
    is_shown(page, 4)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download this version").click()
    assert started.value.suggested_filename == "residuals.png"
    assert Path(started.value.path()).read_bytes() == VERSIONS[3]


def test_two_or_all_versions_are_compared(page: Page) -> None:
    open_plot(page)
    page.get_by_role("slider").press("Home")
    is_shown(page, 1)
    page.get_by_role("link", name="Compare with newest").click()
    expect(page.locator("h1")).to_have_text("2 versions of residuals.png")
    expect(page.locator("figcaption bdi")).to_have_text(["Version 5", "Version 1"])
    page.get_by_role("button", name="Difference").click()
    expect(page.locator("#result")).to_have_text(re.compile("of the pixels differ"))
    page.go_back()
    page.get_by_role("link", name="Compare all 5 versions").click()
    expect(page.locator("h1")).to_have_text("5 versions of residuals.png")
    expect(page.locator("figcaption bdi")).to_have_text([f"Version {number}" for number in range(5, 0, -1)])
    assert violations(page) == []
    page.get_by_role("button", name="One at a time").click()
    page.get_by_role("slider", name="Version, from oldest to newest").press("Home")
    expect(page.locator("#step-says bdi")).to_have_text("Version 1")
    page.get_by_role("button", name="Slider").click()
    page.locator("#left").select_option(index=3)
    page.wait_for_url(re.compile("left=[0-9a-f]{16}"))
    expect(page.locator("#pair .stage img")).to_have_count(2)
    page.get_by_role("button", name="Side by side").click()
    page.get_by_role("link", name="Version 3").click()
    is_shown(page, 3)


def test_an_older_version_stays_while_the_plot_is_drawn_again(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "live/project_a/x.png", png(50, 40))
    address = "/api/smartstat/history/live/x.png"
    wait_until(lambda: any(each["digest"] for each in page.request.get(address).json().get("versions", [])))
    page.goto("/plot/live/x.png")
    wait_until(lambda: width_shown(page) == 50)
    expect(page.locator("#past")).to_be_hidden()
    draw(gallery.root, "live/project_a/x.png", png(51, 40))
    expect(page.locator("#version b")).to_have_text("Version 2 of 2")
    wait_until(lambda: width_shown(page) == 51)
    page.get_by_role("slider").press("ArrowLeft")
    wait_until(lambda: width_shown(page) == 50)
    draw(gallery.root, "live/project_a/x.png", png(52, 40))
    expect(page.locator("#version b")).to_have_text(re.compile("^Version 1 of [23]$"))
    expect(page.locator("#note")).to_have_text("Updated just now")
    assert width_shown(page) == 50
    page.get_by_role("slider").press("End")
    wait_until(lambda: width_shown(page) == 52)


def test_cards_say_how_often_a_plot_was_redrawn(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "cards/project_a/x.png", png(50, 40))
    page.goto("/session/s")
    redrawn = card(page, "residuals.png").locator(".redrawn")
    expect(redrawn).to_have_text("redrawn 4 times")
    expect(card(page, "hasty.png").locator(".redrawn")).to_have_text("redrawn 2 times")
    expect(card(page, "once.png").locator(".redrawn")).to_be_hidden()
    page.goto("/session/cards")
    redrawn = card(page, "x.png").locator(".redrawn")
    expect(page.locator("#count")).to_have_text("1 plot")
    expect(redrawn).to_be_hidden()
    draw(gallery.root, "cards/project_a/x.png", png(51, 40))
    expect(redrawn).to_have_text("redrawn 1 time")


def test_removed_plots_are_shown_filtered_opened_and_downloaded(gallery: Gallery, page: Page) -> None:
    page.goto("/session/s")
    page.get_by_label("Show").select_option("removed")
    expect(page.locator("#count")).to_have_text("2 removed plots")
    expect(card(page, "sub/gone.png").locator("img[src]")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Filter these plots").fill("gone")
    expect(page.locator("#count")).to_have_text("1 of 2 removed plots")
    with page.expect_download() as started:
        card(page, "sub/gone.png").get_by_role("link", name="Download sub/gone.png").click()
    assert Path(started.value.path()).read_bytes() == png(61, 45, RED)
    page.reload()
    expect(page.locator("#count")).to_have_text("1 of 2 removed plots")
    card(page, "sub/gone.png").locator(".open").click()
    expect(page.get_by_text("This plot was removed. Its last kept version is shown.")).to_be_visible()
    expect(page.locator("#version b")).to_have_text("Version 2 of 2")
    wait_until(lambda: width_shown(page) == 61)
    page.get_by_role("slider").press("ArrowLeft")
    wait_until(lambda: width_shown(page) == 60)
    page.keyboard.press("Escape")
    page.wait_for_url("**/session/s?q=gone&show=removed")
    draw(gallery.root, "s/project_a/sub/gone.png", png(62, 45))
    page.get_by_label("Filter these plots").fill("")
    expect(page.locator("#count")).to_have_text("1 removed plot")


def test_a_session_without_removed_plots_does_not_offer_them(page: Page) -> None:
    with page.expect_response("**/session/many/history"):
        page.goto("/session/many")
    expect(card(page, "x.png").locator(".redrawn")).to_have_text("redrawn 15 times")
    expect(page.get_by_label("Show")).to_be_hidden()
    page.goto("/session/many?show=removed")
    expect(page.get_by_text("No removed plots are kept.")).to_be_visible()


def test_versions_are_accessible_and_fit_a_phone(gallery: Gallery, browser: Browser) -> None:
    size = {"width": 360, "height": 740}
    with gallery.open_context(browser, viewport=size, has_touch=True) as context, page_without_errors(context) as page:
        open_plot(page)
        expect(page.locator("#line img[src]")).not_to_have_count(0)
        page.evaluate("document.activeElement.blur()")
        for path in (PLOT, "/session/s", "/session/s?show=removed"):
            page.goto(path)
            expect(page.locator(".paper img[src], #stage img").first).to_be_visible()
            assert (violations(page), violations_in_dark_theme(page)) == ([], [])
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        open_plot(page)
        left, width, middle = slider(page)
        touch = context.new_cdp_session(page)
        for kind, x in (("touchStart", 0.9), ("touchMove", 0.7), ("touchMove", 0.3), ("touchEnd", None)):
            points = [] if x is None else [{"x": left + width * x, "y": middle}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        is_shown(page, 2)


def test_the_selected_picture_is_marked_in_forced_colours(gallery: Gallery, browser: Browser) -> None:
    with gallery.open_context(browser, forced_colors="active") as context, page_without_errors(context) as page:
        open_plot(page)
        page.get_by_role("slider").focus()
        assert page.locator("#line").evaluate("line => getComputedStyle(line).outlineStyle") == "solid"


def test_pages_work_without_a_history(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "plotindex.toml").write_text("history_mb = 0\n")
    with run_gallery(tmp_path) as gallery, gallery.open_context(browser) as context:
        draw(gallery.root, "s/project_a/x.png", png(50, 40))
        with page_without_errors(context) as page:
            page.goto("/session/s")
            expect(card(page, "x.png")).to_be_visible()
            draw(gallery.root, "s/project_a/x.png", png(51, 40))
            expect(card(page, "x.png").locator("img")).to_have_js_property("naturalWidth", 51)
            expect(page.locator(".redrawn")).to_be_hidden()
            expect(page.get_by_label("Show")).to_be_hidden()
            page.goto("/session/s?show=removed")
            expect(page.get_by_text("No removed plots are kept.")).to_be_visible()
            page.goto("/plot/s/x.png")
            wait_until(lambda: width_shown(page) == 51)
            expect(page.locator("#lost")).to_be_hidden()
            assert page.locator("#past").count() == 0
