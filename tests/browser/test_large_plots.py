"""A plot's page shows a picture first, and the file itself when zoomed in; PDF and TIFF are shown, too."""

import io
import random
import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.support.gallery_pages import card
from tests.support.images import encoded, halves
from tests.support.live_gallery import MULTIPLICATION_SIGN, LiveGallery, serve_and_browse, violations
from tests.support.processes import wait_until

SHOWN = "#stage .sheet img"
WIDTH = "image => image.getBoundingClientRect().width"
CIRCLES = "".join(f'<circle cx="{x % 400}" cy="{x // 14 % 300}" r="1"/>' for x in range(8000))
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300"><path d="M40 0V300"/>{CIRCLES}</svg>'.encode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[LiveGallery]:
    with serve_and_browse(tmp_path_factory.mktemp("large"), browser) as site:
        yield site


def large_png() -> bytes:
    """3,000 x 2,000 pixels, more than a megabyte."""
    noise = Image.frombytes("L", (1000, 1000), random.Random(1).randbytes(1_000_000))
    image = halves(size=(3000, 2000))
    image.paste(noise)
    return encoded(image)


def pages(count: int) -> bytes:
    """A PDF whose pages are red."""
    red = [Image.new("RGB", (600, 800), (255, 0, 0)) for _ in range(count)]
    return encoded(red[0], "PDF", save_all=True, append_images=red[1:])


def source(page: Page) -> str:
    return str(page.locator(SHOWN).get_attribute("src"))


def colour(page: Page) -> tuple[int, ...]:
    """The colour in the middle of the stage."""
    image = Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return pixel


def test_a_large_raster_is_a_picture_until_it_is_zoomed_in(site: LiveGallery) -> None:
    site.draw("raster/project_a/x.png", large_png())
    site.sync()
    with site.page() as page:
        asked: list[str] = []
        page.on(
            "request", lambda sent: asked.append(sent.url) if sent.method == "GET" and "x.png" in sent.url else None
        )
        page.goto(site.plot("raster", "x.png"))
        expect(page.locator("#pixels")).to_have_text(f"3,000 {MULTIPLICATION_SIGN} 2,000")
        assert source(page).endswith("&width=1280")
        assert not [url for url in asked if "/api/smartstat/plots/" in url and "width=" not in url]
        page.keyboard.press("+")
        page.keyboard.press("+")
        expect(page.locator(SHOWN)).to_have_js_property("naturalWidth", 3000)
        assert "width=" not in source(page)
        page.keyboard.press("1")
        expect(page.locator(".percent")).to_have_text("100 %")
        wait_until(lambda: page.locator(SHOWN).evaluate(WIDTH) == pytest.approx(3000))


def test_a_dense_screen_gets_the_larger_picture(site: LiveGallery) -> None:
    site.draw("dense/project_a/x.png", large_png())
    site.sync()
    with site.page(device_scale_factor=2) as page:
        page.goto(site.plot("dense", "x.png"))
        expect(page.locator(SHOWN)).to_have_js_property("naturalWidth", 2560)


def test_a_large_svg_is_itself_when_zoomed_in(site: LiveGallery) -> None:
    site.draw("svg/project_a/x.svg", SVG)
    site.sync()
    with site.page() as page:
        page.goto(site.plot("svg", "x.svg"))
        expect(page.locator("#pixels")).to_have_text(f"400 {MULTIPLICATION_SIGN} 300 (vector)")
        assert source(page).endswith("&width=1280")
        for _ in range(8):
            page.keyboard.press("+")
        wait_until(lambda: "width=" not in source(page))
        expect(page.locator(SHOWN)).to_have_js_property("naturalWidth", 400)
        expect(page.locator("#pixels")).to_have_text(f"400 {MULTIPLICATION_SIGN} 300 (vector)")


def test_a_pdf_shows_its_first_page_and_how_many_there_are(site: LiveGallery) -> None:
    site.draw("pdf/project_a/many.pdf", pages(12))
    site.draw("pdf/project_a/one.pdf", pages(1))
    site.draw("pdf/project_a/odd.pdf", b"no PDF")
    site.sync()
    with site.page() as page:
        page.goto(site.plot("pdf", "many.pdf"))
        expect(page.locator("#pages")).to_have_text("12, the first is shown")
        wait_until(lambda: colour(page) == pytest.approx((255, 0, 0), abs=5))
        link = page.get_by_role("link", name="Open the PDF")
        expect(link).to_have_attribute("target", "_blank")
        answer = page.request.get(f"{site.url}{link.get_attribute('href')}")
        assert (answer.headers["content-type"], "content-disposition" in answer.headers) == ("application/pdf", False)
        for _ in range(6):
            page.keyboard.press("+")
        expect(page.locator(SHOWN)).to_have_js_property("naturalWidth", 2560)
        page.goto(site.plot("pdf", "one.pdf"))
        expect(page.locator("#pages")).to_have_text("1")
        page.goto(site.plot("pdf", "odd.pdf"))
        expect(page.locator("#stage")).to_have_attribute(
            "data-says", "No picture: the file is damaged or of another format"
        )
        expect(page.locator("#pages")).to_have_text("unknown")


def test_a_tiff_shows_its_picture(site: LiveGallery) -> None:
    site.draw("tiff/project_a/x.tif", encoded(halves(size=(3000, 1000)), "TIFF"))
    site.sync()
    with site.page() as page:
        page.goto(site.plot("tiff", "x.tif"))
        expect(page.locator("#pixels")).to_have_text(f"3,000 {MULTIPLICATION_SIGN} 1,000")
        for _ in range(6):
            page.keyboard.press("+")
        expect(page.locator(SHOWN)).to_have_js_property("naturalWidth", 2560)
        expect(page.locator("#pixels")).to_have_text(f"3,000 {MULTIPLICATION_SIGN} 1,000")


def test_a_large_file_without_a_picture_waits_for_a_click_that_names_its_size(site: LiveGallery) -> None:
    junk = b"no PNG" + bytes(6_000_000)
    site.draw("junk/project_a/junk.png", junk)
    site.draw("junk/project_b/junk.png", junk)
    site.draw("junk/project_a/small.png", encoded(halves()))
    noise = encoded(Image.frombytes("RGB", (1500, 1500), random.Random(1).randbytes(3 * 1500**2)))
    assert len(noise) > 4_000_000
    site.draw("junk/project_a/noise.png", noise)
    site.sync()
    with site.page() as page:
        loaded: list[str] = []
        page.on(
            "request",
            lambda sent: loaded.append(sent.url) if sent.method == "GET" and "/junk.png?" in sent.url else None,
        )
        page.goto(f"{site.url}/session/junk")
        button = card(page, "junk.png").get_by_role("button", name="Show (6.0 MB)")
        expect(button).to_be_visible()
        for name in ("small.png", "noise.png"):
            expect(card(page, name).locator("img[src]")).to_have_count(1)
            expect(card(page, name).locator(".load")).to_be_hidden()
        assert violations(page) == []
        page.goto(f"{site.url}/?q=junk.png")
        expect(page.locator(".found").get_by_role("button", name="Show (6.0 MB)")).to_be_visible()
        page.goto(f"{site.url}/compare?session=junk&name=junk.png")
        expect(page.get_by_role("button", name="Show (6.0 MB)")).to_have_count(2)
        expect(page.get_by_role("button", name="Show (6.0 MB)").first).to_be_visible()
        assert loaded == []
        page.goto(f"{site.url}/session/junk")
        button.focus()
        page.keyboard.press("Enter")
        expect(card(page, "junk.png").locator(".paper")).to_have_attribute("data-says", re.compile("Cannot display"))
        expect(button).to_be_hidden()
        assert len(loaded) >= 1
