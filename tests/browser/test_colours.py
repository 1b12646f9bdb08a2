"""Colours of the pages in a real browser: the paper behind plots, dark plots, forced colours."""

import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.images import encoded
from tests.support.live_gallery import LiveGallery, png, serve_and_browse, violations, violations_in_dark_theme

BLACK = (0, 0, 0)
WHITE_PAPER, DARK_PAPER = (255, 255, 255), (20, 23, 28)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[LiveGallery]:
    with serve_and_browse(tmp_path_factory.mktemp("colours"), browser) as site:
        yield site


def picture(element: Locator) -> Image.Image:
    return Image.open(io.BytesIO(element.screenshot())).convert("RGB")


def is_loaded(image: Locator) -> None:
    expect(image).not_to_have_js_property("naturalWidth", 0)
    image.evaluate("image => image.decode()")


def colour_in_the_middle(element: Locator) -> tuple[int, ...]:
    shot = picture(element)
    colour = shot.getpixel((shot.width // 2, shot.height // 2))
    assert isinstance(colour, tuple)
    return colour


def test_paper_switch_shows_light_plots_on_dark_paper(site: LiveGallery) -> None:
    clear = encoded(Image.new("RGBA", (640, 480)))
    for project in ("project_a", "project_b"):
        site.draw(f"clear/{project}/x.png", clear)
    site.sync()
    addresses = {
        "/": ".strip img",
        "/session/clear": ".card .paper img",
        "/plot/clear/x.png": "#stage img",
        "/compare?session=clear&name=x.png": "#cells img",
    }
    with site.page(color_scheme="light", viewport={"width": 360, "height": 700}) as page:
        for wanted, paper in (("false", WHITE_PAPER), ("true", DARK_PAPER)):
            for address, images in addresses.items():
                page.goto(site.url + address)
                switch = page.get_by_role("button", name="Dark paper")
                expect(switch).to_have_attribute("aria-pressed", wanted)
                for image in page.locator(images).all():
                    is_loaded(image)
                    assert colour_in_the_middle(image) == paper, address
                if paper == DARK_PAPER:
                    assert (address, violations(page, "color-contrast"), violations_in_dark_theme(page)) == (
                        address,
                        [],
                        [],
                    )
            switch.focus()
            page.keyboard.press("Enter")
            expect(switch).to_have_attribute("aria-pressed", "true" if wanted == "false" else "false")


def test_paper_switch_changes_pages_that_are_open(site: LiveGallery) -> None:
    site.draw("open/project_a/x.png", encoded(Image.new("RGBA", (640, 480))))
    site.sync()
    with site.page() as other, site.page() as page:
        for shown in (other, page):
            shown.goto(site.plot("open", "x.png"))
            is_loaded(shown.locator("#stage img"))
        for paper in (DARK_PAPER, WHITE_PAPER):
            page.get_by_role("button", name="Dark paper").click()
            for shown in (other, page):
                expect(shown.locator("#stage img")).to_have_css("background-color", f"rgb{paper}")


def test_difference_is_the_same_on_any_paper(site: LiveGallery) -> None:
    for project, colour in (("project_a", (0, 0, 0, 0)), ("project_b", (255, 255, 255, 255))):
        site.draw(f"blend/{project}/x.png", encoded(Image.new("RGBA", (64, 48), colour)))
    site.sync()
    with site.page() as page:
        page.goto(site.compare("blend", "x.png", view="difference"))
        for _ in range(2):
            expect(page.locator("#result")).to_have_text("The images are identical, pixel by pixel.")
            assert colour_in_the_middle(page.locator("#pair .stage")) == BLACK
            page.get_by_role("button", name="Dark paper").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_plot_has_no_white_slivers(site: LiveGallery, scheme: str) -> None:
    """Whatever the aspect ratio, format, zoom and pixel ratio: only the page's own colours surround the plot."""
    sizes = ((640, 480), (713, 511), (200, 600), (601, 450))
    for width, height in sizes:
        site.draw(f"dark/project_a/{width}.png", png(width, height, BLACK))
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        site.draw(f"dark/project_a/{width}.svg", f'{head}<rect width="999" height="999"/></svg>'.encode())
    site.sync()
    with site.page(color_scheme=scheme, device_scale_factor=1.5, viewport={"width": 1203, "height": 801}) as page:
        page.goto(f"{site.url}/session/dark?show=files")
        expect(page.locator(".card")).to_have_count(2 * len(sizes))
        for paper in page.locator(".card .paper").all():
            is_loaded(paper.locator("img"))
            assert_no_paper_shows(page, paper)
        for name in ("200.png", "713.svg"):
            page.goto(site.plot("dark", name))
            is_loaded(page.locator("#stage img"))
            for key in ("0", "+", "-", "-"):
                page.keyboard.press(key)
                page.locator(".sheet").evaluate("sheet => Promise.all(sheet.getAnimations().map(one => one.finished))")
                assert_no_paper_shows(page, page.locator("#stage"))


def assert_no_paper_shows(page: Page, paper: Locator) -> None:
    """A shot on red paper must contain no trace of red, except in a card's round corners."""
    page.evaluate("document.documentElement.style.setProperty('--paper', '#f00')")
    red, green, _ = picture(paper).split()
    page.evaluate("document.documentElement.style.removeProperty('--paper')")
    assert sum(ImageChops.subtract(red, green).histogram()[40:]) < 20


def test_forced_colours_show_the_view_and_the_divider(site: LiveGallery) -> None:
    for project in ("project_a", "project_b"):
        site.draw(f"forced/{project}/x.png", encoded(Image.new("RGBA", (640, 480))))
    site.sync()
    for scheme in ("light", "dark"):
        with site.page(forced_colors="active", color_scheme=scheme) as page:
            page.goto(site.compare("forced", "x.png", view="slider"))
            expect(page.locator("#pair img")).to_have_count(2)
            views = page.get_by_role("group", name="View").get_by_role("button").all()
            grounds = [picture(view).getpixel((4, 8)) for view in views]
            pressed = [view.get_attribute("aria-pressed") for view in views].index("true")
            assert grounds.count(grounds[pressed]) == 1, grounds
            assert len(set(grounds)) == 2, grounds
            stage = page.locator("#pair .stage")
            shown = picture(stage)
            page.locator("#divider").evaluate("divider => (divider.style.opacity = 0)")
            box = ImageChops.difference(shown, picture(stage)).getbbox()
            assert box is not None
            assert box[3] - box[1] > 0.9 * shown.height
            # Plots are meant for paper: forced colours leave it.
            assert colour_in_the_middle(page.locator("#pair img").first) == WHITE_PAPER


def test_divider_does_not_cross_the_message_about_a_damaged_plot(site: LiveGallery) -> None:
    for age, project in enumerate(("project_a", "project_b", "project_c", "project_d")):
        site.draw(f"damaged/{project}/x.png", png() if age else b"no PNG", age=age)
    site.sync()
    with site.page() as page:
        page.goto(site.compare("damaged", "x.png", view="slider"))
        divider = page.locator("#divider")
        expect(divider).to_be_visible()
        page.get_by_label("Left", exact=True).select_option("damaged/project_a/x.png")
        expect(page.locator("#pair .stage")).to_have_attribute("data-says", re.compile("Cannot display"))
        expect(divider).to_be_hidden()
        expect(page.get_by_role("status").filter(has_text="Cannot display")).to_have_count(1)
        page.get_by_label("Left", exact=True).select_option("damaged/project_c/x.png")
        expect(divider).to_be_visible()
