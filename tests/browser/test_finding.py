"""Finding plots from the page of sessions and within one: search, "Since", counts and times, in a real browser."""

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, BrowserContext, Page, expect

from plotindex.tree.query import query_matcher
from tests.support.gallery_pages import Gallery, run_gallery
from tests.support.processes import PNG, draw, wait_until

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = time.time_ns()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("finding")
    root = folder / "plots"
    for project in ("project_left", "project_right"):
        draw(root, f"search/{project}/loss curve.png", PNG, mtime_ns=START - 50 * DAY)
        draw(root, f"search/{project}/sub/hist_1.png", PNG, mtime_ns=START - 51 * DAY)
    draw(root, "search/project_left/hist_2.png", PNG, mtime_ns=START - 52 * DAY)
    draw(root, "search/project_left/Only.png", PNG, mtime_ns=START - 53 * DAY)
    for session, age in (("minutes", HOUR // 60), ("hours", 30 * HOUR), ("weeks", 20 * DAY)):
        draw(root, f"since {session}/project_a/old.png", PNG, mtime_ns=START - 30 * DAY)
        draw(root, f"since {session}/project_a/{session}.png", PNG, mtime_ns=START - age)
    with run_gallery(folder) as gallery:
        gallery.service.wait_for(lambda: "Full scan finished" in gallery.service.stderr)
        yield gallery


def sessions_shown(page: Page) -> list[str]:
    names: list[str] = page.locator("[data-session]:is(li)").evaluate_all(
        "rows => rows.map(row => row.dataset.session)"
    )
    return names


def plots_shown(page: Page) -> list[str]:
    """The filenames of the cards, in visual order."""
    names: list[str] = page.locator(".card").evaluate_all(
        "cards => cards.map(card => [card.getBoundingClientRect(), card.dataset.filename])"
        ".sort(([a], [b]) => a.top - b.top || a.left - b.left).map(([, name]) => name)"
    )
    return names


parts = st.sampled_from(
    [*"*?[]!-ab AB.\t\n\u00a0éÉ", "\U0001d11e", "[ab]", "[!a]", "[a-c]", "[A-C]", "[z-a]", "[]a]", "[-a]", "[!]", "K"]
)
queries = st.lists(parts, max_size=10).map("".join)
names = st.text(st.sampled_from("abcABK.-_]![ é\U0001d11e\u212a\n"), max_size=10)
REVERSED_RANGE_BEFORE_EXCLAMATION_MARK = re.compile(r"\[!?(.-.)+!")


def test_browser_and_server_match_alike(logged_in: BrowserContext) -> None:
    page = logged_in.new_page()
    page.goto("/session/search")

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(queries, st.lists(names, min_size=1, max_size=3)), min_size=60, max_size=60))
    @example(
        [("LOSS right", ["loss curve.png", "project_right"]), ("*.PNG", ["a.png"]), ("loss?c*", ["loss curve.png"])]
    )
    @example(
        [("a[", ["a["]), ("[a", ["b[a"]), ("[!]a]", ["b"]), ("?", ["\U0001d11e"]), ("*?*", [""]), ("\u00a0", [" "])]
    )
    @example(
        [("**a*b*", ["xaxxbx"]), ("a*b*ab", ["aab", "abab"]), ("[a-c-e]", ["-", "d"]), ("[--a]", ["."]), ("", ["x"])]
    )
    def compare(cases: list[tuple[str, list[str]]]) -> None:
        # In Python's fnmatch an empty range before "!" makes that a negation.
        assume(not any(REVERSED_RANGE_BEFORE_EXCLAMATION_MARK.search(query) for query, _ in cases))
        in_browser = page.evaluate(
            """async (cases) => {
                const script = document.querySelector('link[href$="/shared/query.js"]');
                const { queryMatcher } = await import(script.href);
                return cases.map(([query, names]) => queryMatcher(query)(names));
            }""",
            cases,
        )
        assert dict(zip(map(repr, cases), in_browser, strict=True)) == {
            repr(case): query_matcher(case[0])(case[1]) for case in cases
        }

    compare()
    page.close()


FOUND = {
    "loss": ["loss curve.png"],
    "CURVE loss": ["loss curve.png"],
    "right hist": ["sub/hist_1.png"],
    "HIST_[2-9].PNG": ["hist_2.png"],
    "*hist*": ["sub/hist_1.png", "hist_2.png"],
    "project_left png sub": ["sub/hist_1.png"],
    "project_middle": [],
}


@pytest.mark.parametrize("query", FOUND)
def test_search_finds_the_same_on_home_and_in_a_session(page: Page, query: str) -> None:
    page.goto("/session/search")
    expect(page.locator("#count")).to_have_text("4 plots, 6 copies")
    page.get_by_label("Filter these plots").fill(query)
    expect(page.locator("#count")).to_have_text(f"{len(FOUND[query])} of 4 plots")
    assert plots_shown(page) == FOUND[query]
    page.goto("/")
    page.get_by_label("Search sessions and plots").fill(query)
    expect(page.get_by_role("heading", level=1)).to_contain_text(query)
    assert plots_shown(page) == FOUND[query]


def test_enter_opens_a_single_hit(page: Page) -> None:
    page.goto("/")
    field = page.get_by_label("Search sessions and plots")
    field.fill("hist")
    field.press("Enter")
    expect(page.locator(".found .card")).to_have_count(2)
    assert "/?q=hist" in page.url
    field.fill("only LEFT")
    field.press("Enter")
    page.wait_for_url("**/plot/search/Only.png")
    page.goto("/")
    field.fill("since hours")
    field.press("Enter")
    page.wait_for_url("**/session/since%20hours")
    page.goto("/session/search")
    field = page.get_by_label("Filter these plots")
    field.fill("hist")
    field.press("Enter")
    expect(page.locator(".card")).to_have_count(2)
    field.fill("hist right")
    expect(page.locator(".card")).to_have_count(1)
    field.press("Enter")
    page.wait_for_url("**/plot/search/sub/hist_1.png?project=project_right")


def test_home_and_session_count_the_same(page: Page) -> None:
    page.goto("/")
    expect(page.locator('[data-session="search"] .facts')).to_contain_text("4 plots, 6 copies")
    expect(page.locator('[data-session="since hours"] .facts span').first).to_have_text("2 plots")
    page.locator('[data-session="search"] a').click()
    expect(page.locator("#count")).to_have_text("4 plots, 6 copies")


def test_time_in_the_future_is_shown_and_does_not_stay_first(gallery: Gallery, page: Page) -> None:
    draw(gallery.root, "ahead/project_a/ahead.png", mtime_ns=START + 50 * HOUR)
    written = time.time_ns()
    page.goto("/session/ahead")
    expect(page.locator(".card time")).to_have_text("in 2 d")
    expect(page.locator(".card time")).to_have_attribute("title", re.compile(r"\(in the future\)$"))
    # The clock of files advances in ticks.
    wait_until(lambda: time.time_ns() > written + SECOND // 10)
    draw(gallery.root, "ahead/project_a/later.png")
    draw(gallery.root, "ahead/project_a/earlier.png", mtime_ns=START - DAY)
    expect(page.locator("#count")).to_have_text("3 plots")
    expected = ["later.png", "ahead.png", "earlier.png"]
    assert plots_shown(page) == expected
    page.reload()
    expect(page.locator("#count")).to_have_text("3 plots")
    assert plots_shown(page) == expected
    draw(gallery.root, "after ahead/project_a/x.png")
    page.goto("/")
    row = page.locator('[data-session="ahead"]')
    expect(page.locator('[data-session="after ahead"]')).to_be_visible()
    assert sessions_shown(page)[:2] == ["after ahead", "ahead"]
    expect(row.locator("time")).to_have_text(re.compile(r"^\d+ (s|min) ago$"))
    images: list[str] = row.locator("img").evaluate_all("images => images.map(image => image.dataset.filename)")
    assert images == expected


def test_wrong_clock_of_the_browser_changes_no_age(gallery: Gallery, logged_in: BrowserContext) -> None:
    page = logged_in.new_page()
    page.clock.install(time=START / SECOND - 7 * 86400)
    page.goto("/session/since%20weeks")
    expect(page.locator('.card[data-filename="weeks.png"] time')).to_have_text("20 d ago")
    page.close()


def test_since_filters_sessions_and_plots(page: Page) -> None:
    page.goto("/")
    field = page.get_by_label("Changed")
    field.select_option("Last hour")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Sessions changed in the last hour")
    assert "since minutes" in sessions_shown(page)
    assert not {"since hours", "since weeks", "search"} & set(sessions_shown(page))
    page.reload()
    expect(field).to_have_value("hour")
    expect(page.locator('[data-session="since minutes"]')).to_be_visible()
    page.get_by_label("Search sessions and plots").fill("since png")
    expect(page.get_by_text("No matching plots.")).to_be_visible()
    page.get_by_label("Search sessions and plots").fill("png")
    expect(page.locator('.found .card[data-filename="minutes.png"]')).to_have_count(1)
    expect(page.locator('.found .card[data-filename="old.png"]')).to_have_count(0)
    page.get_by_label("Search sessions and plots").fill("")
    page.locator('li[data-session="since minutes"] a').click()
    expect(page.locator("#count")).to_have_text("1 of 2 plots")
    expect(field).to_have_value("hour")
    assert plots_shown(page) == ["minutes.png"]
    field.select_option("Any time")
    expect(page.locator("#count")).to_have_text("2 plots")


def test_yesterday_begins_at_the_midnight_of_the_browser(gallery: Gallery, browser: Browser) -> None:
    with gallery.open_context(browser, timezone_id="Pacific/Kiritimati") as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Changed").select_option("Since yesterday")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Sessions changed since yesterday")
        midnight = page.evaluate(
            "() => { const day = new Date(); day.setDate(day.getDate() - 1); return day.setHours(0, 0, 0, 0) / 1000; }"
        )
        assert f"from={midnight}" in page.url
        assert midnight % 86400 == 10 * 3600


def test_last_visit_is_when_a_page_was_last_seen_before_a_pause(gallery: Gallery, browser: Browser) -> None:
    with gallery.open_context(browser) as context:
        page = context.new_page()
        page.goto("/")
        choice = page.locator('#since option[value="visit"]')
        expect(choice).to_be_disabled()
        key = page.evaluate("Object.keys(localStorage).find((key) => key.endsWith(' visits'))")
        seen = START // 10**6 - 10 * 24 * 3600 * 1000
        page.evaluate("([key, seen]) => localStorage.setItem(key, JSON.stringify({ seen }))", [key, seen])
        page.goto("/plot/search/Only.png")
        page.goto("/")
        expect(choice).to_be_enabled()
        expect(choice).to_have_text("Since last visit (10 d ago)")
        page.get_by_label("Changed").select_option("visit")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Sessions changed since your last visit")
        assert {"since minutes", "since hours"} <= set(sessions_shown(page))
        assert "since weeks" not in sessions_shown(page)
        page.goto("/session/since%20hours")
        page.get_by_label("Changed").select_option("visit")
        expect(page.locator("#count")).to_have_text("1 of 2 plots")


def test_first_page_of_an_idle_tree_shows_no_warning(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("idle")
    draw(folder / "plots", "s/project_a/x.png")
    with run_gallery(folder) as gallery:
        gallery.service.wait_for(lambda: "Open this URL" in gallery.service.stdout)
        with gallery.open_context(browser) as context:
            page = context.new_page()
            page.goto("/")
            expect(page.locator("img[src]")).to_be_visible()
            expect(page.locator("#state")).to_be_hidden()
            expect(page.locator("html")).to_have_attribute("data-watched", "yes")
