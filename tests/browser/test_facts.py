"""What plots show: facts, flags, search by text and by picture, in a real browser."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.gallery_pages import Gallery, card, run_gallery, shown
from tests.support.images import encoded, halves
from tests.support.live_gallery import MULTIPLICATION_SIGN, png, violations, violations_in_dark_theme
from tests.support.processes import clean_environment, draw, run_plotindex

HALVES = encoded(halves(), dpi=(100, 100))
HOUR = 3600 * 10**9
SVG = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'><title>Residuals of model A</title>"
    b"<text>Counts &lt;b&gt;</text><text>Energy</text></svg>"
)
PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("facts")
    root = folder / "plots"
    draw(root, "s/project_a/halves.png", HALVES)
    draw(root, "s/project_b/copy.png", HALVES)
    draw(root, "s/project_a/residuals.svg", SVG)
    draw(root, "s/project_a/empty.png", png(80, 60))
    draw(root, "s/project_a/old.png", png(9, 9, dots={(1, 1): (0, 0, 0)}), mtime_ns=time.time_ns() - HOUR)
    draw(root, "s/project_a/cut.png", encoded(halves())[:200])
    environment = {**clean_environment(folder), "PLOTINDEX_ROOT": str(root)}
    assert run_plotindex(["rebuild"], environment, folder).returncode == 0
    done = run_plotindex(["inspect", "--all"], environment, folder)
    assert done.returncode == 0, done.stderr
    with run_gallery(folder) as gallery:
        yield gallery


def test_page_of_a_plot_shows_its_facts(page: Page) -> None:
    page.goto("/plot/s/residuals.svg")
    facts = page.get_by_label("What it shows")
    expect(facts.get_by_role("definition")).to_have_text(
        ["Residuals of model A", f"SVG, 90 {MULTIPLICATION_SIGN} 60 (vector)"]
    )
    expect(facts.get_by_text("Not inspected yet.")).to_be_hidden()
    expect(facts.get_by_text("Energy")).to_be_hidden()
    facts.get_by_text("Text 2").press("Enter")
    expect(facts.locator("details li")).to_have_text(["Counts <b>", "Energy"])
    assert violations(page) == []
    assert violations_in_dark_theme(page) == []


def test_flags_of_a_plot_are_explained_and_equal_copies_linked(page: Page) -> None:
    page.goto("/plot/s/old.png")
    expect(page.locator("#shows .why")).to_contain_text("stale the last burst of drawing in its project left it out")
    expect(page.locator("#shows .why")).to_contain_text("tiny narrower or lower than 16 pixels")
    page.goto("/plot/s/halves.png")
    expect(page.locator("#shows dd")).to_contain_text([f"PNG, 800 {MULTIPLICATION_SIGN} 400, 100 dpi"])
    page.get_by_role("link", name="s / project_b / copy.png").click()
    page.wait_for_url("**/plot/s/copy.png?project=project_b")


def test_plot_drawn_while_its_page_is_open_is_inspected_and_its_facts_follow(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "live/project_a/x.svg", SVG)
    page.goto("/plot/live/x.svg")
    expect(page.get_by_text("Not inspected yet.")).to_be_visible()
    expect(page.locator("#shows dd").first).to_have_text("Residuals of model A", timeout=30_000)
    draw(gallery.root, "live/project_a/x.svg", SVG.replace(b"model A", b"model B"))
    expect(page.locator("#shows dd").first).to_have_text("Residuals of model B", timeout=30_000)


def test_page_of_a_plot_works_without_facts(page: Page) -> None:
    page.route("**/facts/**", lambda route: route.fulfill(status=503))
    page.goto("/plot/s/residuals.svg")
    expect(page.locator("#stage img")).to_be_visible()
    expect(page.locator("#shows")).to_be_hidden()


def test_flags_are_badges_and_a_filter(page: Page) -> None:
    page.goto("/session/s")
    expect(card(page, "empty.png").get_by_label("Flags")).to_have_text("blank")
    expect(card(page, "old.png").get_by_role("listitem")).to_have_text(["stale", "tiny"])
    expect(card(page, "cut.png").get_by_label("Flags")).to_have_text("broken")
    expect(card(page, "residuals.svg").locator(".flags")).to_be_hidden()
    assert violations(page) == []
    assert violations_in_dark_theme(page) == []
    page.locator("#flag").select_option("duplicate")
    expect(page.locator("#count")).to_have_text("2 of 6 plots")
    assert set(shown(page)) == {"halves.png", "copy.png"}
    page.reload()
    expect(page.locator("#count")).to_have_text("2 of 6 plots")
    expect(page.locator("#flag")).to_have_value("duplicate")


def test_search_finds_by_text_and_says_where(page: Page) -> None:
    page.goto("/session/s")
    expect(page.locator("#count")).to_have_text("6 plots")
    field = page.get_by_label("Filter these plots")
    field.fill("MODEL residuals")
    expect(page.locator("#count")).to_have_text("1 of 6 plots")
    expect(card(page, "residuals.svg").locator(".where")).to_have_text("title: Residuals of model A")
    assert violations(page) == []
    field.fill("counts <B>")
    expect(card(page, "residuals.svg").locator(".where")).to_have_text("text: Counts <b>")
    field.fill("energy nothing")
    expect(page.get_by_text("No matching plots.")).to_be_visible()
    field.fill("energy")
    field.press("Enter")
    page.wait_for_url("**/plot/s/residuals.svg")


def test_search_of_all_sessions_finds_by_text(gallery: Gallery, page: Page, browser: Browser) -> None:
    page.goto("/")
    page.get_by_label("Search sessions and plots").fill("model RESIDUALS of")
    expect(card(page, "residuals.svg").locator(".where")).to_have_text("title: Residuals of model A")
    assert violations(page) == []
    with gallery.open_context(browser, session="elsewhere") as context:
        other = context.new_page()
        other.goto("/?q=model")
        expect(other.get_by_text("No matching plots.")).to_be_visible()
    with gallery.open_context(browser, session="s") as context:
        own = context.new_page()
        own.goto("/?q=model")
        expect(card(own, "residuals.svg").locator(".where")).to_have_text("title: Residuals of model A")


def test_badges_follow_changes(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "badges/project_a/x.png", encoded(halves((1, 2, 3))))
    page.goto("/session/badges")
    expect(card(page, "x.png")).to_be_visible()
    draw(gallery.root, "badges/project_a/x.png", png(90, 60))
    expect(card(page, "x.png").get_by_label("Flags")).to_have_text("blank", timeout=40_000)
    draw(gallery.root, "badges/project_a/x.png", encoded(halves((4, 5, 6))))
    expect(card(page, "x.png").locator(".flags")).to_be_hidden()


def test_page_of_a_session_works_without_facts(page: Page) -> None:
    page.route("**/session/s/facts*", lambda route: route.fulfill(status=503))
    page.goto("/session/s")
    expect(page.locator("#count")).to_have_text("6 plots")
    page.get_by_label("Filter these plots").fill("residuals")
    expect(page.locator("#count")).to_have_text("1 of 6 plots")
    expect(page.locator("#flag")).to_be_hidden()


DROP = """async (form, [type, bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], "slide.png", { type: "image/png" }));
    const options = type === "paste" ? { clipboardData: data } : { dataTransfer: data };
    const Kind = type === "paste" ? ClipboardEvent : DragEvent;
    const target = type === "paste" ? form.querySelector("input") : form;
    target.dispatchEvent(new Kind(type, { ...options, bubbles: true, cancelable: true }));
}"""


def give(page: Page, how: str, content: bytes) -> None:
    page.locator("form.search").evaluate(DROP, [how, list(content)])


def test_picture_pasted_on_the_search_of_all_sessions_finds_its_plots(page: Page) -> None:
    page.goto("/")
    give(page, "paste", HALVES)
    dialog = page.get_by_role("dialog", name="Where is this picture from?")
    expect(dialog.get_by_role("listitem").first).to_contain_text("the same bytes")
    expect(dialog.locator("img[src]").first).to_be_visible()
    assert violations(page) == []
    assert violations_in_dark_theme(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_label("Search sessions and plots")).to_have_value("")


def test_scaled_picture_dropped_on_the_filter_finds_its_plot(page: Page) -> None:
    page.goto("/session/s")
    give(page, "drop", encoded(halves(size=(400, 200)), "JPEG"))
    dialog = page.get_by_role("dialog")
    nearest = dialog.get_by_role("listitem").first
    expect(nearest).to_contain_text(re.compile(r"distance \d+ of 576"))
    nearest.get_by_role("link").press("Enter")
    page.wait_for_url(re.compile(r"/plot/s/(halves|copy)\.png\?project=project_[ab]$"))


def test_what_is_no_picture_is_told(gallery: Gallery, browser: Browser) -> None:
    with gallery.open_context(browser, viewport=PHONE) as context:
        page = context.new_page()
        page.goto("/session/s")
        give(page, "drop", b"no picture")
        expect(page.get_by_text("This is not a picture, or it is damaged.")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
