"""The list of a session in a real browser: projects, order, and clicks while plots are drawn."""

from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.gallery_pages import Gallery, card, page_without_errors, shown
from tests.support.live_gallery import png
from tests.support.processes import PNG, draw, wait_until

ROUNDS = 6


def centre(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def draw_two_projects(root: Path, session: str) -> None:
    """`hist.png` of project_a is 4 pixels wide, that of project_b 8 and newer; `only.png` is of project_a alone."""
    draw(root, f"{session}/project_a/hist.png", png(4, 3), mtime_ns=10**18)
    draw(root, f"{session}/project_b/hist.png", png(8, 6), mtime_ns=2 * 10**18)
    draw(root, f"{session}/project_a/only.png", png(5, 5), mtime_ns=10**18 - 1)


def test_a_project_in_the_filter_selects_its_copies(gallery: Gallery, page: Page) -> None:
    draw_two_projects(gallery.root, "filtered")
    page.goto("/session/filtered")
    hist = card(page, "hist.png")
    expect(hist.locator("img")).to_have_js_property("naturalWidth", 8)
    page.get_by_label("Filter these plots").fill("project_a hist")
    expect(hist.locator(".project")).to_have_text("project_a")
    expect(hist.locator("img")).to_have_js_property("naturalWidth", 4)
    expect(hist.get_by_role("link", name="Compare the 2 copies")).to_be_visible()
    assert hist.locator("input").get_attribute("value") == "filtered/project_a/hist.png"
    page.get_by_label("Filter these plots").fill("project_a project_b")
    expect(page.locator("#count")).to_have_text("1 of 2 plots")
    expect(hist.locator(".project")).to_have_text("project_b")
    page.get_by_label("Filter these plots").fill("project_a project_c")
    expect(page.get_by_text("No matching plots.")).to_be_visible()
    page.get_by_label("Filter these plots").fill("project_a")
    hist.locator(".open").click()
    page.wait_for_url("**/plot/filtered/hist.png?project=project_a")
    expect(page.get_by_text("1 of 2 plots")).to_be_visible()


def test_each_project_groups_its_own_copies(gallery: Gallery, page: Page) -> None:
    draw_two_projects(gallery.root, "grouped")
    page.goto("/session/grouped")
    page.get_by_label("Group").select_option("project")
    page.get_by_label("Sort").select_option("name")
    expect(page.locator(".grid h2")).to_have_text(["project_a2", "project_b1"])
    expect(page.locator(".card")).to_have_count(3)
    expect(page.locator("#count")).to_have_text("2 plots, 3 copies")
    for index, (filename, project, width) in enumerate(
        (("hist.png", "project_a", 4), ("only.png", "project_a", 5), ("hist.png", "project_b", 8))
    ):
        found = page.locator(".card").nth(index)
        expect(found).to_have_attribute("data-filename", filename)
        expect(found.locator(".project")).to_have_text(project)
        expect(found.locator("img")).to_have_js_property("naturalWidth", width)
    page.locator(".card .open").first.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**/plot/grouped/hist.png?project=project_b")
    expect(page.get_by_text("3 of 3 plots")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/plot/grouped/only.png?project=project_a")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/plot/grouped/hist.png?project=project_a")
    page.keyboard.press("Escape")
    page.wait_for_url("**/session/grouped?sort=name&group=project")
    expect(page.locator(".card .open").nth(2)).to_be_focused()


def test_typing_before_the_list_has_arrived_keeps_the_page(gallery: Gallery, page: Page) -> None:
    for name in ("one.png", "two.png"):
        draw(gallery.root, f"slow/project_a/{name}")
    page.goto("/session/slow")
    expect(page.locator("#count")).to_have_text("2 plots")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/smartstat/plots/slow?**", hold)
    page.reload()
    wait_until(lambda: page.evaluate("true") and held)
    page.get_by_label("Filter these plots").fill("tw")
    page.get_by_label("Sort").select_option("name")
    expect(page.locator(".card")).to_have_count(2)
    assert page.locator(".card").evaluate_all("cards => cards.every(({ clientHeight }) => clientHeight > 200)")
    expect(page.locator("#count")).to_have_text("Loading…")
    expect(page.locator("#empty")).to_be_hidden()
    card(page, "two.png").locator(".open").click()
    page.wait_for_url("**/plot/slow/two.png")
    # The order as it was seen last.
    expect(page.get_by_text("1 of 2 plots")).to_be_visible()
    page.go_back()
    wait_until(lambda: page.evaluate("true") and len(held) == 2)
    held.pop().continue_()
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 of 2 plots")


def test_clicks_hit_their_card_while_the_session_is_drawn_again(gallery: Gallery, page: Page) -> None:
    for number in range(12):
        draw(gallery.root, f"busy/project_a/{number:02}.png", mtime_ns=10**18 - number)
    page.goto("/session/busy")
    expect(page.locator("#count")).to_have_text("12 plots")
    page.evaluate(
        """() => {
            window.clicked = [];
            addEventListener("click", (event) => {
                event.preventDefault();
                clicked.push(event.target.closest(".card")?.dataset.filename);
            });
            for (const card of document.querySelectorAll(".card")) card.isKept = true;
        }"""
    )
    targets = [f"{number:02}.png" for number in range(ROUNDS)]
    for number, target in enumerate(targets, 1):
        page.mouse.move(*centre(card(page, target).locator(".paper")))
        page.mouse.down()
        redrawn = f"{number + ROUNDS - 1:02}.png"
        draw(gallery.root, f"busy/project_a/{redrawn}", PNG + b" " * number)
        expect(card(page, redrawn).locator(".bytes")).to_have_text(f"{len(PNG) + number} B")
        page.mouse.up()
    assert page.evaluate("clicked") == targets
    assert page.evaluate("[...document.querySelectorAll('.card')].every(card => card.isKept)")


def test_a_tap_hits_its_card_while_the_session_is_drawn_again(gallery: Gallery, browser: Browser) -> None:
    for number in range(6):
        draw(gallery.root, f"tapped/project_a/{number}.png", mtime_ns=10**18 - number)
    with gallery.open_context(browser, has_touch=True) as context, page_without_errors(context) as page:
        page.goto("/session/tapped")
        expect(page.locator("#count")).to_have_text("6 plots")
        x, y = centre(card(page, "1.png").locator(".paper"))
        touch = context.new_cdp_session(page)
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        draw(gallery.root, "tapped/project_a/5.png", PNG + b" ")
        expect(card(page, "5.png").locator(".bytes")).to_have_text(f"{len(PNG) + 1} B")
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_url("**/plot/tapped/1.png")


def test_cards_hold_their_order_under_the_pointer_and_new_plots_are_announced(gallery: Gallery, page: Page) -> None:
    for number in range(6):
        draw(gallery.root, f"held/project_a/{number}.png", mtime_ns=10**18 - number)
    page.goto("/session/held")
    before = [f"{number}.png" for number in range(6)]
    expect(page.locator("#count")).to_have_text("6 plots")
    page.mouse.move(*centre(card(page, "3.png")))
    for number in range(4):
        draw(gallery.root, f"held/project_a/new {number}.png")
    draw(gallery.root, "held/project_a/5.png", PNG + b" ")
    expect(page.get_by_role("button", name="4 new ↑")).to_be_visible()
    expect(card(page, "5.png").locator(".bytes")).to_have_text(f"{len(PNG) + 1} B")
    expect(page.locator("#count")).to_have_text("10 plots")
    assert shown(page) == before
    # Sorting is a new order: it contains the new plots.
    page.get_by_label("Sort").focus()
    page.get_by_label("Sort").select_option("name")
    assert shown(page) == [*before, *(f"new {number}.png" for number in range(4))]
    expect(page.locator("#arrived")).to_be_hidden()
    page.get_by_label("Sort").select_option("newest")
    draw(gallery.root, "held/project_a/last.png")
    expect(page.get_by_role("button", name="1 new ↑")).to_be_visible()
    assert shown(page)[0] != "last.png"
    page.get_by_role("button", name="1 new ↑").press("Enter")
    assert shown(page)[0] == "last.png"
    expect(page.get_by_role("link", name="last.png", exact=True)).to_be_focused()
    draw(gallery.root, "held/project_a/very last.png")
    expect(page.get_by_role("button", name="1 new ↑")).to_be_visible()
    page.mouse.move(5, 5)
    wait_until(lambda: shown(page)[0] == "very last.png")
    expect(page.locator("#arrived")).to_be_hidden()


def test_cards_hold_their_order_while_the_filter_is_typed(gallery: Gallery, page: Page) -> None:
    for number in range(4):
        draw(gallery.root, f"typed/project_a/plot {number}.png", mtime_ns=10**18 - number)
    page.goto("/session/typed")
    expect(page.locator("#count")).to_have_text("4 plots")
    page.get_by_label("Filter these plots").press_sequentially("plot")
    for name, content in (("plot new", PNG), ("other", PNG), ("plot 3", PNG + b" ")):
        draw(gallery.root, f"typed/project_a/{name}.png", content)

    def type_until_announced() -> bool:
        page.keyboard.type(" ")
        page.keyboard.press("Backspace")
        return page.get_by_role("button", name="1 new ↑").is_visible() and "of 6 plots" in page.content()

    wait_until(type_until_announced)
    assert shown(page) == [f"plot {number}.png" for number in range(4)]
    wait_until(lambda: sorted(shown(page)[:2]) == ["plot 3.png", "plot new.png"])
    expect(page.locator("#arrived")).to_be_hidden()


def test_numbers_in_names_are_sorted_by_value(gallery: Gallery, page: Page) -> None:
    ordered = ["rate_1e-05_z", "rate_0.001_y", "rate_0.01_x", "rate_0.1_w", "rate_0.25_v", "rate_0.5_u", "rate_2_t"]
    ordered += ["rate_10_s", "run 2.10.1", "run 2.10.2", "run 10.1.1", "t9007199254740992", "t9007199254740993"]
    for name in reversed(ordered):
        draw(gallery.root, f"numbers/project_a/{name}.png")
    page.goto("/session/numbers?sort=name")
    expect(page.locator("#count")).to_have_text(f"{len(ordered)} plots")
    assert shown(page) == [f"{name}.png" for name in ordered]


def test_groups_are_in_the_chosen_order(gallery: Gallery, page: Page) -> None:
    for folder, age, size in (("a", 30, 2), ("b", 10, 1), ("c", 20, 3)):
        path = f"folders/project_a/{folder}/x.png"
        draw(gallery.root, path, PNG + b" " * size, mtime_ns=10**18 - age)
        draw(gallery.root, path.replace("x.", "old."), PNG, mtime_ns=10**17 - age)
    page.goto("/session/folders?group=folder")
    headings = page.locator(".grid h2 bdi")
    for order, expected in {"newest": "bca", "oldest": "acb", "name": "abc", "size": "cab"}.items():
        page.get_by_label("Sort").select_option(order)
        expect(headings).to_have_text(list(expected))


def test_scrolling_costs_as_much_in_a_long_list_as_in_a_short_one(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "scrolled/project_a/x.png")
    page.goto("/session/scrolled")
    expect(page.locator("#count")).to_have_text("1 plot")
    grid = page.locator('script[src*="session.js"]').evaluate(
        "script => script.src.replace('pages/session', 'gallery/grid')"
    )

    def is_alike() -> bool:
        short, long = page.evaluate(
            """async (url) => {
            const { Grid } = await import(url);
            const create = () => Object.assign(document.createElement("article"), { textContent: "x" });
            const fastest = [];
            for (const count of [500, 100_000]) {
                const box = document.body.appendChild(document.createElement("div"));
                const grid = new Grid(box, { create, update() {}, remove() {} });
                const cards = Array.from({ length: count }, (_, number) => ({ key: `${number}` }));
                grid.show([{ heading: null, cards }]);
                const times = [];
                for (let turn = 0; turn < 15; turn += 1) {
                    const start = performance.now();
                    for (let repeat = 0; repeat < 10; repeat += 1) dispatchEvent(new Event("scroll"));
                    times.push(performance.now() - start);
                }
                fastest.push(Math.min(...times));
                box.remove();
            }
            return fastest;
        }""",
            grid,
        )
        return bool(long < 5 * short + 2)

    # A busy machine delays one now and then; with each card looked at, the long one takes 200 times as long.
    wait_until(is_alike, 60)
