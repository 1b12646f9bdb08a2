"""Selecting plots in a real browser, and downloading them as one archive."""

import json
import zipfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.gallery_pages import Gallery, card, page_without_errors
from tests.support.images import PDF
from tests.support.live_gallery import violations
from tests.support.processes import draw


def downloaded(page: Page, name: str, folder: Path) -> set[str]:
    """The names in the archive that a button downloads."""
    with page.expect_download() as started:
        page.get_by_role("button", name=name, exact=True).click()
    file = folder / "chosen.zip"
    started.value.save_as(file)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        manifest: Any = json.loads(archive.read("manifest.json"))
        names = set(archive.namelist()) - {"manifest.json"}
    assert {entry["path"] for entry in manifest["plots"]} == names
    return names


def checked(page: Page) -> list[str]:
    names: list[str] = page.locator(".pick input:checked").evaluate_all("boxes => boxes.map(box => box.value)")
    return sorted(path.rpartition("/")[2] for path in names)


def test_ranges_and_all_of_a_filter_are_selected_and_downloaded(gallery: Gallery, page: Page, tmp_path: Path) -> None:
    for number in range(150):
        draw(gallery.root, f"pick/project_a/{number:03}.png")
    draw(gallery.root, "pick/project_a/003.pdf", PDF)
    draw(gallery.root, "pick/project_b/sub/a #?%&'.png")
    page.goto("/session/pick?sort=name")
    expect(page.locator("#count")).to_have_text("151 plots")
    page.get_by_label("Select 002.png").click()
    page.get_by_label("Select 005.png").click(modifiers=["Shift"])
    assert checked(page) == ["002.png", "003.png", "004.png", "005.png"]
    expect(page.get_by_role("link", name="Compare 4")).to_be_visible()
    page.get_by_label("Select 004.png").click()
    assert checked(page) == ["002.png", "003.png", "005.png"]
    assert violations(page) == []
    assert downloaded(page, "Download 3", tmp_path) == {
        *("pick/project_a/002.png", "pick/project_a/003.png", "pick/project_a/003.pdf", "pick/project_a/005.png")
    }
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Filter these plots").fill("01")
    expect(page.locator("#count")).to_have_text("12 of 151 plots")
    page.get_by_role("button", name="Select all 12").click()
    page.get_by_label("Filter these plots").fill("sub")
    page.get_by_label("Select sub/a #?%&'.png").click()
    expect(page.get_by_text("13 plots selected")).to_be_visible()
    page.reload()
    assert len(downloaded(page, "Download 13", tmp_path)) == 13
    page.get_by_label("Filter these plots").fill("")
    page.get_by_role("button", name="Select all 151").click()
    assert len(downloaded(page, "Download 151", tmp_path)) == 152
    page.get_by_label("Show").select_option("files")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Select 003.pdf").click()
    assert downloaded(page, "Download 1", tmp_path) == {"pick/project_a/003.pdf"}
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#tray")).to_be_hidden()


def test_ranges_are_selected_by_keyboard(gallery: Gallery, page: Page) -> None:
    for number in range(9):
        draw(gallery.root, f"keyed/project_a/{number}.png")
    page.goto("/session/keyed?sort=name")
    expect(page.locator("#count")).to_have_text("9 plots")
    page.get_by_label("Select 1.png").focus()
    page.keyboard.press("Space")
    page.get_by_label("Select 6.png").focus()
    page.keyboard.press("Shift+Space")
    assert checked(page) == [f"{number}.png" for number in range(1, 7)]
    page.get_by_role("button", name="Clear").press("Enter")
    assert checked(page) == []


def test_plots_are_selected_on_a_phone(
    gallery: Gallery, logged_in: BrowserContext, browser: Browser, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        draw(gallery.root, f"touched/project_a/{name}")
    state: Any = logged_in.storage_state()
    options: dict[str, Any] = {"viewport": {"width": 360, "height": 700}, "has_touch": True, "is_mobile": True}
    with (
        browser.new_context(base_url=gallery.url, storage_state=state, **options) as context,
        page_without_errors(context) as page,
    ):
        page.goto("/session/touched")
        card(page, "b.png").locator(".pick").tap()
        assert downloaded(page, "Download 1", tmp_path) == {"touched/project_a/b.png"}
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        box = page.locator("#tray").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360


def test_plots_of_several_sessions_are_not_in_one_archive(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "one/project_a/x.png")
    draw(gallery.root, "two/project_a/x.png")
    for session in ("one", "two"):
        page.goto(f"/session/{session}")
        page.get_by_label("Select x.png").check()
    expect(page.get_by_text("To download, select plots of one session")).to_be_visible()
    expect(page.get_by_role("button", name="Download 2")).to_be_hidden()
    page.get_by_role("button", name="Clear").click()


def test_a_refused_download_leaves_the_page(gallery: Gallery, logged_in: BrowserContext) -> None:
    draw(gallery.root, "vast/project_a/x.png")
    large = draw(gallery.root, "vast/project_a/large.png")
    with large.open("r+b") as file:
        file.truncate(2 * 10**9)
    page = logged_in.new_page()
    page.goto("/session/vast")
    expect(page.locator("#count")).to_have_text("2 plots")
    page.get_by_role("button", name="Select all 2").click()
    page.get_by_role("button", name="Download 2").click()
    expect(page.locator("#state")).to_have_text("These plots are too many, or too large, for one download.")
    page.close()
