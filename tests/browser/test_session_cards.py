"""The cards of a session in a real browser: names, copies, and their place in the list."""

import io
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.gallery_pages import Gallery, card
from tests.support.live_gallery import violations
from tests.support.processes import draw

LONG = "correlation_of_returns/window_of_250_days/layer_with_a_long_name_"
PART_WIDTHS = """card => [...card.querySelectorAll(".name > span")].map(part =>
    [part.className, part.scrollWidth > part.clientWidth, part.getBoundingClientRect().width])"""


def test_long_names_are_cut_in_the_middle_and_shared_prefixes_dimmed(gallery: Gallery, page: Page) -> None:
    names = [f"{LONG}{end}" for end in ("0.01_histogram.png", "0.02_histogram.png")]
    for name in [*names, "alone.png"]:
        draw(gallery.root, f"names/project_a/{name}")
        draw(gallery.root, f"names/project_b/{name}")
    page.goto("/session/names")
    page.get_by_label("Size").select_option("small")
    for name in names:
        long = card(page, name)
        expect(long.get_by_role("link", name=name, exact=True)).to_have_attribute("title", name)
        assert "".join(long.locator(".name > span").all_text_contents()) == name
        assert long.locator(".name .shared").text_content() == LONG
        cut: dict[str, tuple[bool, float]] = {
            kind: (is_cut, width) for kind, is_cut, width in long.evaluate(PART_WIDTHS)
        }
        assert cut["shared"][0]
        assert not cut["tail"][0]
        assert min(width for _, width in cut.values()) > 10
    assert card(page, "alone.png").locator(".name .shared").text_content() == ""
    page.get_by_label("Group").select_option("folder")
    expect(page.locator(".grid h2").last).to_contain_text(LONG.rpartition("/")[0])
    for name in names:
        visible = card(page, name).locator(".name > span").all_text_contents()
        assert "".join(visible) == name.rpartition("/")[2]
        expect(card(page, name).get_by_role("link", name=name, exact=True)).to_have_attribute("title", name)
    page.get_by_label("Size").select_option("medium")


@pytest.mark.parametrize("width", [360, 1200])
def test_a_name_is_never_under_the_number_of_copies(gallery: Gallery, page: Page, width: int) -> None:
    for project in "abc":
        draw(gallery.root, f"badge/project_{project}_with_a_long_name/{'long ' * 12}name.png", mtime_ns=10**15)
    draw(gallery.root, "badge/project_a_with_a_long_name/other.png")
    page.set_viewport_size({"width": width, "height": 700})
    page.goto("/session/badge")
    expect(page.locator(".copies:visible")).to_have_count(1)
    long = page.locator(".card").filter(has=page.locator(".copies:visible"))
    for scale in ("small", "medium", "large"):
        page.get_by_label("Size").select_option(scale)
        boxes: dict[str, Any] = {
            part: long.locator(part).bounding_box() for part in (".name", ".copies", ".project", "time")
        }
        copies = boxes.pop(".copies")
        for part, box in boxes.items():
            apart = box["x"] + box["width"] <= copies["x"] or box["y"] + box["height"] <= copies["y"]
            assert apart, (scale, part, box, copies)
        whole = long.bounding_box()
        assert whole is not None
        assert copies["x"] + copies["width"] <= whole["x"] + whole["width"]
        assert boxes[".name"]["width"] > 0.9 * whole["width"] - 16
    page.get_by_label("Size").select_option("medium")
    page.set_viewport_size({"width": 1200, "height": 800})


def test_virtual_cards_have_their_place_in_the_list(gallery: Gallery, page: Page) -> None:
    for number in range(90):
        draw(gallery.root, f"places/project_{number % 2}/{number:02}.png")
    page.goto("/session/places?sort=name&group=project")
    expect(page.locator("#count")).to_have_text("90 plots")
    expect(card(page, "00.png")).to_have_attribute("aria-posinset", "1")
    page.keyboard.press("End")
    last = card(page, "89.png")
    expect(last).to_have_attribute("aria-posinset", "90")
    expect(last).to_have_attribute("aria-setsize", "90")
    assert page.locator(".card").count() < 90
    assert violations(page) == []
    page.get_by_label("Filter these plots").fill("8?.png")
    expect(last).to_have_attribute("aria-posinset", "10")
    expect(last).to_have_attribute("aria-setsize", "10")


def test_the_focus_is_visible_around_a_card(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "ring/project_a/x.png")
    page.goto("/session/ring")
    expect(page.locator("#count")).to_have_text("1 plot")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".card .open")).to_be_focused()
    box = page.locator(".card").bounding_box()
    assert box is not None
    for x, y in ((box["x"] + box["width"] / 2, box["y"] - 4), (box["x"] - 4, box["y"] + 60)):
        pixel = page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})
        assert Image.open(io.BytesIO(pixel)).convert("RGB").getpixel((0, 0)) == (31, 95, 214)
