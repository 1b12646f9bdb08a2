"""Taking a plot's picture out of its page, in a real browser: the clipboard and dragging."""

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.support.images import BLUE, RED, encoded, halves
from tests.support.live_gallery import LiveGallery, png, serve_and_browse, zoom_of
from tests.support.processes import wait_until

CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}
READ_PNG = """async () => {
  const [item] = await navigator.clipboard.read();
  const bytes = new Uint8Array(await (await item.getType("image/png")).arrayBuffer());
  return btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(""));
}"""
DROP_ZONE = """() => {
  const zone = document.createElement("textarea");
  zone.id = "zone";
  zone.style = "position: fixed; inset: auto 0 0 auto; width: 150px; height: 150px; z-index: 99";
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    const { dataTransfer } = event;
    const read = (kind) => dataTransfer.getData(kind);
    window.dropped = [read("text/uri-list"), read("text/html")];
  });
  document.body.append(zone);
  addEventListener("dragstart", ({ dataTransfer }) => (window.download = dataTransfer.getData("DownloadURL")));
}"""
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">'
    b'<rect width="20" height="30" fill="#f00"/><rect x="20" width="20" height="30" fill="#00f"/></svg>'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[LiveGallery]:
    with serve_and_browse(tmp_path_factory.mktemp("export"), browser) as site:
        yield site


def is_shown(page: Page) -> None:
    expect(page.locator("#stage img")).to_have_js_property("complete", True)


def clipboard(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(page.evaluate(READ_PNG)))).convert("RGBA")


def test_copy_image_puts_the_whole_plot_as_png_on_the_clipboard(site: LiveGallery) -> None:
    plots = {
        "x.png": (encoded(halves(size=(600, 400))), (600, 400)),
        "x.jpg": (encoded(halves(size=(600, 400)), "JPEG", quality=95), (600, 400)),
        "x.webp": (encoded(halves(size=(600, 400)), "WEBP", lossless=True), (600, 400)),
        "x.gif": (encoded(halves(size=(600, 400)), "GIF"), (600, 400)),
        # Enough pixels for print.
        "x.svg": (SVG, (2000, 1500)),
    }
    for name, (content, _) in plots.items():
        site.draw(f"clip/project_a/{name}", content)
    site.sync()
    with site.page(**CLIPBOARD) as page:
        for name, (_, size) in plots.items():
            page.goto(site.plot("clip", name))
            is_shown(page)
            page.keyboard.press("+")
            page.get_by_role("button", name="Copy image", exact=True).press("Enter")
            expect(page.locator("#note")).to_have_text(f"Copied, {size[0]} \N{MULTIPLICATION SIGN} {size[1]} pixels.")
            copied = clipboard(page)
            assert copied.size == size
            for x, wanted in ((size[0] // 4, RED), (size[0] * 3 // 4, BLUE)):
                pixel = copied.getpixel((x, size[1] // 2))
                assert isinstance(pixel, tuple)
                assert pixel == pytest.approx((*wanted, 255), abs=3), name


def test_copied_image_keeps_transparency_and_outlives_the_plot(site: LiveGallery) -> None:
    file = site.draw("gone/project_a/x.png", encoded(Image.new("RGBA", (64, 48))))
    site.sync()
    with site.page(**CLIPBOARD) as page:
        page.goto(site.plot("gone", "x.png"))
        is_shown(page)
        file.unlink()
        expect(page.locator("#note")).to_contain_text("This plot was removed.")
        page.get_by_role("button", name="Copy image", exact=True).click()
        expect(page.locator("#note")).to_contain_text("Copied")
        assert clipboard(page).getpixel((5, 5)) == (0, 0, 0, 0)


def test_copy_image_says_why_it_cannot(site: LiveGallery) -> None:
    site.draw("cannot/project_a/x.png", png())
    site.draw("cannot/project_a/broken.png", b"no picture")
    site.sync()
    with site.page(**CLIPBOARD) as page:
        page.goto(site.plot("cannot", "broken.png"))
        expect(page.locator("#pixels")).to_have_text("unknown")
        page.get_by_role("button", name="Copy image", exact=True).click()
        expect(page.locator("#note")).to_have_text("There is no picture to copy.")
        page.add_init_script("delete window.ClipboardItem")
        page.goto(site.plot("cannot", "x.png"))
        is_shown(page)
        page.get_by_role("button", name="Copy image", exact=True).click()
        expect(page.locator("#note")).to_have_text(
            "The browser copies images on HTTPS and localhost only. Drag the picture, or download it."
        )


def drag_to_zone(page: Page, picture: str) -> None:
    page.evaluate(DROP_ZONE)
    page.locator(picture).first.hover()
    page.mouse.down()
    page.locator("#zone").hover()
    page.locator("#zone").hover()
    page.mouse.up()


def test_picture_can_be_dragged_out_of_its_page(site: LiveGallery) -> None:
    for project in ("project_a", "project_b"):
        site.draw(f"drag/{project}/a b.png", png(2000, 1500))
    site.sync()
    address = f"{site.url}/api/smartstat/plots/drag/a%20b.png?"
    addresses = {site.plot("drag", "a b.png"): "#stage img", site.compare("drag", "a b.png"): "#cells img"}
    with site.page() as page:
        for url, picture in addresses.items():
            page.goto(url)
            expect(page.locator(picture).first).not_to_have_js_property("naturalWidth", 0)
            drag_to_zone(page, picture)
            wait_until(lambda: page.evaluate("window.dropped") is not None)
            link, markup = page.evaluate("window.dropped")
            assert link.startswith(address), link
            # The plot, not its thumbnail.
            assert "width=" not in link
            assert link.replace("&", "&amp;") in markup
            assert page.evaluate("window.download") == f"application/octet-stream:a b.png:{link}"


def test_zoomed_picture_is_moved_by_dragging(site: LiveGallery) -> None:
    site.draw("move/project_a/x.png", png(2000, 1500))
    site.sync()
    with site.page() as page:
        page.goto(site.plot("move", "x.png"))
        is_shown(page)
        page.locator("#stage").focus()
        for _ in range(4):
            page.keyboard.press("+")
        wait_until(lambda: zoom_of(page) > 3)
        before = page.locator("#stage img").bounding_box()
        page.evaluate("addEventListener('dragstart', (event) => (window.isDragged = !event.defaultPrevented))")
        box = page.locator("#stage").bounding_box()
        assert before is not None
        assert box is not None
        page.mouse.move(box["x"] + 300, box["y"] + 300)
        page.mouse.down()
        page.mouse.move(box["x"] + 200, box["y"] + 300, steps=4)
        page.mouse.up()
        after = page.locator("#stage img").bounding_box()
        assert after is not None
        assert after["x"] == pytest.approx(before["x"] - 100, abs=2)
        assert not page.evaluate("window.isDragged")
