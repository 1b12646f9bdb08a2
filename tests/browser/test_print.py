"""The pages on paper: printed to PDF by a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.images import BLUE, GREEN, RED, WHITE, encoded, halves
from tests.support.live_gallery import LiveGallery, png, serve_and_browse
from tests.support.processes import wait_until

MANY = 96
"""Plots of a session, of which the page has some forty at once."""
RECORD = "() => { window.printed = 0; window.print = () => (window.printed += 1); }"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[LiveGallery]:
    with serve_and_browse(tmp_path_factory.mktemp("print"), browser) as site:
        for number in range(MANY):
            # Of different sizes: a PDF contains equal images once.
            site.draw(f"many/project_{number % 2}/sub/{number}.png", png(60 + number, 45, BLUE), age=number)
        # Of two colours: a PDF has no image for one colour.
        for project, colour in {"a": RED, "b": GREEN, "c": WHITE}.items():
            site.draw(f"few/project_{project}/x.png", encoded(halves(colour, size=(2000, 1500))), age=ord(project))
        site.draw("few/project_a/tall.png", encoded(halves(size=(300, 4000))))
        site.draw("few/project_a/v.svg", b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"/>')
        site.sync()
        yield site


def print_page(page: Page) -> list[int]:
    """Print with Ctrl+P; the number of images on each page of paper."""
    page.keyboard.press("Control+p")
    wait_until(lambda: page.evaluate("window.printed") == 1)
    return images_on_paper(page)


def images_on_paper(page: Page) -> list[int]:
    """The number of images on each page of the PDF."""
    pdf = page.pdf(format="A4")
    pictures = set(re.findall(rb"\n(\d+) 0 obj\n<</Type /XObject\n/Subtype /Image", pdf))
    sheets = re.findall(rb"/Type /Page\n.*?endobj", pdf, re.DOTALL)
    named = [re.search(rb"/XObject <<(.*?)>>", sheet, re.DOTALL) for sheet in sheets]
    return [len(pictures.intersection(re.findall(rb"/X(\d+) ", one[1]))) if one else 0 for one in named]


def open_page(page: Page, url: str, picture: str) -> None:
    page.goto(url)
    page.evaluate(RECORD)
    expect(page.locator(picture).first).not_to_have_js_property("naturalWidth", 0)


def test_session_is_printed_whole_without_blank_pages(site: LiveGallery) -> None:
    with site.page() as page:
        open_page(page, f"{site.url}/session/many?group=project", ".card img")
        assert page.locator(".card").count() < MANY
        images = print_page(page)
        assert sum(images) == MANY
        assert min(images) > 0
        assert max(images) <= 15
        # Afterwards the page has only the cards near the window again.
        wait_until(lambda: page.locator(".card").count() < MANY)
        expect(page.locator("#state")).to_be_hidden()


def test_filtered_session_is_printed_as_filtered(site: LiveGallery) -> None:
    with site.page() as page:
        open_page(page, f"{site.url}/session/many?q=7", ".card img")
        expect(page.locator("#count")).to_contain_text("of 96")
        assert sum(print_page(page)) == sum("7" in str(number) for number in range(MANY))


def test_menu_prints_every_name_and_says_when_images_are_loaded(site: LiveGallery) -> None:
    with site.page() as page:
        open_page(page, f"{site.url}/session/many", ".card img")
        expect(page.locator("#count")).to_have_text("96 plots")
        # Without Ctrl+P the browser does not wait for images.
        images = images_on_paper(page)
        assert len(images) > MANY // 15
        expect(page.locator("#state")).to_have_text("All images are loaded: print again (Esc: cancel)")
        assert sum(images_on_paper(page)) == MANY
        wait_until(lambda: page.locator(".card").count() < MANY)
        expect(page.locator("#state")).to_be_hidden()


def test_printing_can_be_cancelled(site: LiveGallery) -> None:
    with site.page() as page:
        # Never answered: the pages are not complete.
        page.route("**/*width=*", lambda route: None)
        page.goto(f"{site.url}/session/many", wait_until="domcontentloaded")
        page.evaluate(RECORD)
        expect(page.locator("#count")).to_have_text("96 plots")
        page.keyboard.press("Control+p")
        expect(page.locator("#state")).to_contain_text("images to print (Esc: cancel)")
        page.keyboard.press("Escape")
        expect(page.locator("#state")).to_be_hidden()
        assert page.locator(".card").count() < MANY
        assert page.evaluate("window.printed") == 0
        page.goto(site.plot("few", "x.png"), wait_until="domcontentloaded")
        page.keyboard.press("Control+p")
        expect(page.locator("#state")).to_contain_text("images to print (Esc: cancel)")
        page.keyboard.press("Escape")
        # Otherwise Esc leads back to the session.
        expect(page.locator("#state")).to_be_hidden()
        assert page.url == site.plot("few", "x.png")
        page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize(
    ("address", "images"),
    {
        "/": 8,
        "/plot/few/x.png": 4,
        "/plot/few/tall.png": 1,
        "/compare?session=few&name=x.png": 3,
        "/compare?session=few&name=x.png&view=one": 1,
        "/compare?session=few&name=x.png&view=slider": 2,
    }.items(),
)
def test_paper_shows_whole_pictures_and_no_controls(site: LiveGallery, address: str, images: int) -> None:
    with site.page() as page:
        open_page(page, site.url + address, "main img:visible")
        for _ in range(2 if address != "/" else 0):
            page.keyboard.press("+")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 703, "height": 1000})
        expect(page.locator("button:visible, input:visible, .zoom:visible")).to_have_count(0)
        expect(page.get_by_role("main")).to_be_visible()
        for image in page.locator("main .sheet img:visible").all():
            box = image.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 703
            assert box["height"] <= 700
            assert box["width"] / box["height"] == pytest.approx(ratio(page), rel=0.02)
        page.emulate_media(media="null")
        found = print_page(page)
        assert (sum(found), min(found) > 0) == (images, True)


def ratio(page: Page) -> float:
    shape: float = page.locator("main .sheet img:visible").first.evaluate(
        "({ naturalWidth: w, naturalHeight: h }) => w / h"
    )
    return shape


def test_what_changed_is_printed_whole_on_one_page(site: LiveGallery) -> None:
    with site.page() as page:
        page.goto(f"{site.url}/diff?from=few/project_a&to=few/project_b")
        expect(page.locator("#cells .boxes i").first).to_be_visible(timeout=20_000)
        assert images_on_paper(page) == [2]
        page.emulate_media(media="print")
        for figure in page.locator("#cells figure").all():
            picture, frames = (figure.locator(name).bounding_box() for name in ("img", ".boxes"))
            assert picture == frames
