"""The session page in a real browser: live changes, thousands of plots."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.gallery_pages import Gallery, RecordedPage, shown
from tests.support.images import PDF
from tests.support.processes import PNG, draw, wait_until

HOSTILE = "<img src=x onerror=alert(1)>'\"&\u202egnp.exe\n.png"
MANY = 10_000
FIRST_IN_VIEW = """() => [...document.querySelectorAll(".card")]
    .find(card => card.getBoundingClientRect().top > 100)?.dataset.filename"""


def test_cards_follow_changes(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "live/project_a/first.png")
    page.goto("/session/live")
    expect(page.locator(".card")).to_have_count(1)
    file = draw(gallery.root, "live/project_b/sub/second.png")
    second = page.locator('.card[data-filename="sub/second.png"]')
    expect(second).to_be_visible()
    expect(second.locator(".project")).to_have_text("project_b")
    expect(second.locator("img")).to_have_js_property("naturalWidth", 1)
    before = second.locator("img").get_attribute("src")
    file.write_bytes(PNG + b" ")
    expect(second.locator("img")).not_to_have_attribute("src", before or "")
    expect(second.locator(".bytes")).to_have_text(f"{len(PNG) + 1} B")
    draw(gallery.root, "live/project_c/sub/second.png")
    expect(second.get_by_role("link", name="Compare the 2 copies")).to_have_text("2 copies")
    file.unlink()
    (gallery.root / "live/project_c/sub/second.png").unlink()
    expect(second).to_have_count(0)
    (gallery.root / "live/project_a/first.png").unlink()
    expect(page.get_by_text("No plots found.")).to_be_visible()


def test_scroll_position_and_selection_survive_changes(gallery: Gallery, page: Page) -> None:
    for number in range(80):
        draw(gallery.root, f"calm/project_a/{number:02}.png", mtime_ns=10**18 + number)
    page.goto("/session/calm")
    expect(page.locator("#count")).to_have_text("80 plots")
    page.locator('.card[data-filename="79.png"] input').check()
    page.evaluate("scrollTo(0, 1500)")
    wait_until(lambda: page.evaluate("scrollY") == 1500)
    middle = wait_until(lambda: page.evaluate(FIRST_IN_VIEW))
    where = page.locator(f'.card[data-filename="{middle}"]').bounding_box()
    assert where is not None
    for number in range(9):
        draw(gallery.root, f"calm/project_a/new {number}.png")
    expect(page.get_by_role("button", name="9 new ↑")).to_be_visible()
    expect(page.locator("#count")).to_have_text("89 plots")
    after = page.locator(f'.card[data-filename="{middle}"]').bounding_box()
    assert after is not None
    assert abs(after["y"] - where["y"]) < 2
    assert page.locator("#tray li").all_text_contents() == ["79.png ✕"]
    page.get_by_role("button", name="9 new ↑").click()
    wait_until(lambda: page.evaluate("scrollY") == 0)
    expect(page.locator("#arrived")).to_be_hidden()
    assert shown(page)[0].startswith("new")


def test_cards_do_not_overlap(gallery: Gallery, page: Page) -> None:
    for number in range(40):
        draw(gallery.root, f"places/project_a/{number:02}.png", mtime_ns=10**18 + number)
    page.goto("/session/places")
    expect(page.locator("#count")).to_have_text("40 plots")
    page.locator('.card[data-filename="38.png"] input').check()
    for number in range(120):
        draw(gallery.root, f"places/project_b/new/{number:03}.png")
    expect(page.locator("#count")).to_have_text("160 plots")
    page.get_by_label("Size").select_option("small")
    boxes = [card.bounding_box() for card in page.locator(".card").all()]
    places = {(box["x"], box["y"]) for box in boxes if box}
    assert len(places) == len(boxes)
    assert len({(round(box["width"]), round(box["height"])) for box in boxes if box}) == 1
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Size").select_option("medium")


def test_back_restores_the_page(gallery: Gallery, page: Page) -> None:
    for number in range(120):
        draw(gallery.root, f"back/project_a/{number:03}.png")
        draw(gallery.root, f"back/project_a/other {number:03}.png")
    page.goto("/session/back")
    page.get_by_label("Sort").select_option("name")
    page.get_by_label("Filter these plots").fill("other")
    expect(page.locator("#count")).to_have_text("120 of 240 plots")
    page.evaluate("scrollTo(0, 1200)")
    opened = page.locator('.card[data-filename="other 025.png"] .open')
    for leave in (lambda: page.keyboard.press("Escape"), page.go_back):
        opened.click()
        expect(page.get_by_text("26 of 120 plots")).to_be_visible()
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**/other%20026.png")
        leave()
        page.wait_for_url("**/session/back?q=other&sort=name")
        expect(page.locator("#count")).to_have_text("120 of 240 plots")
        expect(opened).to_be_in_viewport()
    expect(opened).to_be_focused()


def test_selection_of_two_to_four_plots_for_comparison(gallery: Gallery, page: Page) -> None:
    for name in "abcde":
        draw(gallery.root, f"choice/project_x/{name}.png")
    draw(gallery.root, "choice two/project_x/f.png")
    page.goto("/session/choice")
    expect(page.locator(".card")).to_have_count(5)
    page.get_by_label("Select a.png").check()
    expect(page.get_by_text("Select one more plot to compare")).to_be_visible()
    for name in "bc":
        page.get_by_label(f"Select {name}.png").check()
    page.goto("/session/choice%20two")
    page.get_by_label("Select f.png").check()
    page.goto("/session/choice")
    page.get_by_label("Select d.png").check()
    expect(page.get_by_text("5 plots selected")).to_be_visible()
    expect(page.get_by_role("link", name="Compare 5")).to_be_hidden()
    page.get_by_label("Select d.png").uncheck()
    page.get_by_role("button", name="Remove project_x/b.png").click()
    expect(page.get_by_label("Select b.png")).not_to_be_checked()
    page.get_by_role("link", name="Compare 3").click()
    page.wait_for_url("**/compare?**")
    for path in ("choice/project_x/a.png", "choice/project_x/c.png", "choice two/project_x/f.png"):
        assert page.evaluate("path => new URLSearchParams(location.search).getAll('plot').includes(path)", path)


def test_ten_thousand_plots_are_virtualised_and_searchable(gallery: Gallery, logged_in: BrowserContext) -> None:
    folder = gallery.root / "many/project_a/sub"
    folder.mkdir(parents=True)
    first = draw(gallery.root, "many/project_a/sub/0000.png")
    for number in range(1, MANY):
        os.link(first, folder / f"{number:04}.png") if number % 1000 else shutil.copy(
            first, folder / f"{number:04}.png"
        )
    draw(gallery.root, "many/project_b/needle in it.png")
    watched = RecordedPage(logged_in)
    page = watched.page
    page.goto("/session/many")
    expect(page.locator("#count")).to_have_text("10,001 plots")
    page.get_by_label("Sort").select_option("name")
    expect(page.locator(".card").first).to_have_attribute("data-filename", "needle in it.png")
    for top in (0, 100_000, 300_000, 500_000):
        page.evaluate(f"scrollTo(0, {top})")
        wait_until(lambda: page.locator(".card").count() > 4)
        assert page.locator(".card").count() < 150
    last = page.locator('.card[data-filename="sub/9999.png"]')

    def is_at_end() -> bool:
        # A busy browser may render the cards of the place before after the key.
        page.keyboard.press("End")
        return last.is_visible()

    wait_until(is_at_end)
    expect(last).to_be_in_viewport()
    page.get_by_label("Filter these plots").fill("NEEDLE")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 of 10,001 plots")
    page.get_by_label("Filter these plots").fill("*77.png")
    expect(page.locator("#count")).to_have_text("100 of 10,001 plots")
    # A regular expression would backtrack exponentially.
    page.get_by_label("Filter these plots").fill("*0*0*0*0*0*0*0*0*0*0*x")
    expect(page.locator("#count")).to_have_text("0 of 10,001 plots")
    page.get_by_label("Filter these plots").fill("no such")
    expect(page.get_by_text("No matching plots.")).to_be_visible()
    page.get_by_label("Filter these plots").fill("")
    page.get_by_label("Group").select_option("project")
    expect(page.locator(".grid h2").first).to_have_text("project_a10,000")
    page.reload()
    expect(page.get_by_label("Group")).to_have_value("project")
    assert len(watched.images) < 500
    page.close()
    assert watched.problems == []
    subprocess.run(["rm", "-rf", gallery.root / "many"], check=True)


def test_group_and_sort(gallery: Gallery, page: Page) -> None:
    for path, size, mtime in (("a/x10.png", 9, 30), ("a/x9.png", 20, 10), ("b.png", 5, 20)):
        draw(gallery.root, f"sorted/project_p/{path}", PNG + b" " * size, mtime_ns=10**18 + mtime)
    page.goto("/session/sorted")
    expect(page.locator(".card")).to_have_count(3)
    orders = {
        "newest": ["a/x10.png", "b.png", "a/x9.png"],
        "oldest": ["a/x9.png", "b.png", "a/x10.png"],
        "name": ["a/x9.png", "a/x10.png", "b.png"],
        "size": ["a/x9.png", "a/x10.png", "b.png"],
    }
    for order, expected in orders.items():
        page.get_by_label("Sort").select_option(order)
        assert shown(page) == expected
    page.get_by_label("Group").select_option("folder")
    assert page.locator(".grid h2").all_text_contents() == ["a2", "No folder1"]


def test_keyboard_only_use(gallery: Gallery, page: Page) -> None:
    for number in range(30):
        draw(gallery.root, f"keys/project_a/{number:02}.png", mtime_ns=10**18 - number)
    page.goto("/session/keys")
    expect(page.locator("#count")).to_have_text("30 plots")
    page.keyboard.press("/")
    page.keyboard.type("png")
    expect(page.get_by_label("Filter these plots")).to_be_focused()
    expect(page.locator("#heard")).to_have_text("30 of 30 plots")
    page.locator(".card .open").first.focus()
    for key, expected in (
        ("ArrowRight", "01.png"),
        ("ArrowDown", "05.png"),
        ("ArrowLeft", "04.png"),
        ("ArrowUp", "00.png"),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('.card').dataset.filename") == expected
    for _ in range(7):
        page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('.card').dataset.filename") == "28.png"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#tray")).to_contain_text("28.png")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/plot/keys/28.png")
    page.go_back()
    expect(page.locator('.card[data-filename="28.png"]')).to_be_in_viewport()


def test_the_way_back_leads_to_the_list_as_it_is_not_as_it_first_was(gallery: Gallery, page: Page) -> None:
    (gallery.root / "early/project_a").mkdir(parents=True)
    page.goto("/session/early")
    expect(page.get_by_text("No plots found.")).to_be_visible()
    for number in range(30):
        draw(gallery.root, f"early/project_a/{number:02}.png", mtime_ns=10**18 - number)
    expect(page.locator("#count")).to_have_text("30 plots")
    opened = page.locator('.card[data-filename="28.png"]')
    page.keyboard.press("End")
    opened.locator(".open").click()
    page.wait_for_url("**/plot/early/28.png")
    page.go_back()
    expect(opened).to_be_in_viewport()
    expect(opened.locator(".open")).to_be_focused()


def test_reconnect_catches_up_even_after_a_rebuild(gallery: Gallery, logged_in: BrowserContext, tmp_path: Path) -> None:
    draw(gallery.root, "asleep/project_a/old.png")
    page = logged_in.new_page()
    page.goto("/session/asleep")
    expect(page.locator(".card")).to_have_count(1)
    for path in ("away.png", "scratched.png"):
        logged_in.set_offline(True)
        try:
            expect(page.get_by_text("No connection. Retrying…")).to_be_visible()
            draw(gallery.root, f"asleep/project_a/{path}")
            if path == "scratched.png":
                (gallery.root / "asleep/project_a/old.png").unlink()
                from_scratch(gallery)
        finally:
            logged_in.set_offline(False)
        expect(page.locator(f'.card[data-filename="{path}"]')).to_be_visible()
        expect(page.locator("#state")).to_be_hidden()
    expect(page.locator('.card[data-filename="old.png"]')).to_have_count(0)
    page.close()


def from_scratch(gallery: Gallery) -> None:
    environment = {**os.environ, **gallery.settings.as_environment()}
    subprocess.run([sys.executable, "-m", "plotindex", "rebuild", "--from-scratch"], env=environment, check=True)


def test_page_reports_a_stopped_indexer(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "heard/project_a/x.png")
    page.goto("/session/heard")
    expect(page.locator(".card")).to_have_count(1)
    [indexer] = [child for child in psutil.Process(gallery.service.pid).children() if "watch" in child.cmdline()]

    def stop() -> bool:
        """Suspend it and let its heartbeat be old, unless it is writing."""
        indexer.suspend()
        try:
            with closing(sqlite3.connect(gallery.settings.state_folder / "catalog.db", 1)) as database, database:
                database.execute("UPDATE indexer SET heartbeat = 0")
        except sqlite3.OperationalError:
            indexer.resume()
            return False
        return True

    try:
        wait_until(stop)
        expect(page.get_by_text("The indexer is stopped or behind; new plots may be missing.")).to_be_visible()
        # Asked again soon: the warning does not outlast its reason.
        with page.expect_request(re.compile("wait=2$"), timeout=5_000):
            pass
    finally:
        indexer.resume()
    expect(page.locator("#state")).to_be_hidden()


def test_empty_session_and_pictures_of_vector_plots(gallery: Gallery, page: Page) -> None:
    (gallery.root / "empty/project_a").mkdir(parents=True)
    page.goto("/session/empty")
    expect(
        page.get_by_text("plotindex reads ROOT/<session>/project_*/; images elsewhere are ignored (project_pattern).")
    ).to_be_visible()
    content = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30"/>%s</svg>'
    draw(gallery.root, "empty/project_a/large.svg", content % (b"<!--" + b"x" * 1_200_000 + b"-->"))
    draw(gallery.root, "empty/project_a/paper.pdf", PDF)
    for name in ("large.svg", "paper.pdf"):
        expect(page.locator(f'.card[data-filename="{name}"] img')).to_have_js_property("naturalWidth", 320)


def test_a_card_and_its_page_say_the_same_of_an_invalid_image(gallery: Gallery, logged_in: BrowserContext) -> None:
    draw(gallery.root, "broken/project_a/broken.png", b"no image")
    page = logged_in.new_page()
    page.goto("/session/broken")
    reason = "Cannot display this file: it is damaged, or its suffix is wrong."
    expect(page.locator(".card .paper")).to_have_attribute("data-says", reason)
    page.locator(".card .open").click()
    expect(page.locator("#stage")).to_have_attribute("data-says", reason)
    page.close()


def test_a_card_says_why_there_is_no_picture(gallery: Gallery, logged_in: BrowserContext) -> None:
    draw(gallery.root, "broken/project_b/broken.pdf", PDF[:200])
    page = logged_in.new_page()
    page.goto("/session/broken")
    card = page.locator('.card[data-filename="broken.pdf"]')
    notice = "No picture: the file is damaged or of another format"
    expect(card.locator(f'.paper[data-says="{notice}"]')).to_be_visible()
    expect(card.locator("a.open")).to_have_attribute("href", "/plot/broken/broken.pdf")
    page.close()


def test_hostile_names_are_text(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, f"hostile/project_<b>/{HOSTILE}")
    draw(gallery.root, "hostile/project_a/100%#?;&.png")
    page.goto("/session/hostile")
    expect(page.locator(".card")).to_have_count(2)
    assert HOSTILE in page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.filename)")
    assert page.locator(".card img").evaluate_all("images => images.length") == 2
    for image in page.locator(".card img").all():
        expect(image).to_have_js_property("naturalWidth", 1)
    page.locator('.card[data-filename="100%#?;&.png"] .open').click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("100%#?;&.png")


def test_logout_elsewhere_is_reported(gallery: Gallery, browser: Browser) -> None:
    draw(gallery.root, "over/project_a/x.png")
    with gallery.open_context(browser) as context:
        page = context.new_page()
        page.goto("/session/over")
        expect(page.locator(".card")).to_have_count(1)
        other = context.new_page()
        other.goto("/")
        other.get_by_role("button", name="Log out").click()
        other.wait_for_url("**/login")
        page.bring_to_front()
        draw(gallery.root, "over/project_a/y.png")
        expect(page.get_by_text("Your login has expired.")).to_be_visible()
        page.get_by_role("link", name="Log in").click()
        expect(page.get_by_role("heading", name="Log in to plotindex")).to_be_visible()
