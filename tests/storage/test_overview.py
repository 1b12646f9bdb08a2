"""Reads for the gallery."""

import html
import re
import time
from pathlib import Path

import pytest
from flask import Flask

from plotindex.config.settings import Settings
from plotindex.storage.catalog import Catalog, SessionRow
from plotindex.storage.overview import PREVIEW_PLOTS, Overview
from plotindex.storage.search.name_search import NAMES_WITHOUT_INDEX, NameSearch
from plotindex.storage.tables import session
from plotindex.tree.plots import PlotKey, Row
from plotindex.tree.session_filter import ALL_SESSIONS, SessionFilter
from plotindex.web import PlotIndex
from tests.support.postgres import on_both_engines
from tests.support.processes import Index, draw

START = 10**18


@pytest.fixture
def overview(catalog: Catalog) -> Overview:
    return Overview(catalog)


def everything(session: str) -> bool:
    return True


@on_both_engines
def test_sessions_are_newest_first_with_their_latest_plots(root: Path, index: Index, overview: Overview) -> None:
    for number in range(7):
        draw(root, f"old/project_a/{number}.png", mtime_ns=START + number)
        draw(root, f"new/project_a/{number}.png", mtime_ns=START + 100 + number)
    index()
    strips, count, _ = overview.sessions(everything, "", 0, 10)
    assert (count, [strip.row.session for strip in strips]) == (2, ["new", "old"])
    assert [plot.filename for plot in strips[1].latest] == [
        f"{number}.png" for number in range(6, 6 - PREVIEW_PLOTS, -1)
    ]
    draw(root, "old/project_b/0.png", mtime_ns=START + 200)
    (root / "new/project_a/6.png").unlink()
    index()
    strips, _, _ = overview.sessions(everything, "", 0, 10)
    assert [(strip.row.session, strip.latest[0].path) for strip in strips] == [
        ("old", "old/project_b/0.png"),
        ("new", "new/project_a/5.png"),
    ]


@on_both_engines
def test_pages_contain_only_allowed_matches(root: Path, index: Index, overview: Overview) -> None:
    for number in range(10):
        draw(root, f"s{number}/project_a/x.png", mtime_ns=START - number)
    draw(root, "t/project_a/x.png", mtime_ns=START)
    index()

    def allows(session: str) -> bool:
        return session != "s3"

    pages = [overview.sessions(allows, "S", skip, 4) for skip in (0, 4, 8, 12)]
    assert [page.total for page in pages] == [9] * 4
    names = [[strip.row.session for strip in strips] for strips, _, _ in pages]
    assert names == [["s0", "s1", "s2", "s4"], ["s5", "s6", "s7", "s8"], ["s9"], []]
    for skip in range(0, 16, 4):
        of_all = overview.sessions(ALL_SESSIONS, "", skip, 4)
        assert of_all == overview.sessions(everything, "", skip, 4)
        assert (of_all[1], len(of_all[0])) == (11, min(4, max(0, 11 - skip)))


@on_both_engines
def test_index_finds_names_beyond_the_latest_sessions(catalog: Catalog, overview: Overview) -> None:
    rows: list[list[Row]] = [[(f"s{number}", "p", "hist.png", 1, START - number, 1, 1)] for number in range(1_100)]
    rows[-1] = [("s1099", "p", "old.png", 1, 0, 1, 1)]
    with catalog.writing() as writer:
        writer.apply([], rows)
    found = overview.search(ALL_SESSIONS, "old", 5)
    assert ([plot.path for plot in found.plots], found.is_complete) == (["s1099/p/old.png"], True)
    assert overview.search(ALL_SESSIONS, "ol", 5)[:2] == ([], False)


@on_both_engines
def test_search_of_a_host_does_not_depend_on_sessions_that_the_caller_may_not_see(
    catalog: Catalog, overview: Overview
) -> None:
    overview._search = NameSearch(overview._database, before_index=0, without_index=1, search_seconds=60)
    with catalog.writing() as writer:
        writer.apply([], [[("s0", "p", "hist.png", 1, START, 1, 1)], [("s1", "p", "old.png", 1, 0, 1, 1)]])
    found = []
    for name in ("s0", "hidden"):
        with catalog.writing() as writer:
            writer.apply([], [[(name, "p", "more.png", 1, START - 2, 1, 1)]])
        found.append(overview.search(lambda session: session != "hidden", "old", 5))
    assert found[0] == found[1]


@on_both_engines
@pytest.mark.parametrize("query", ["hist", "HIST", "*hist*", "sub/h[ia]st*"])
def test_search_returns_allowed_current_copies_latest_first(
    root: Path, index: Index, overview: Overview, query: str
) -> None:
    for number in range(5):
        draw(root, f"a/project_{number}/sub/hist.png", mtime_ns=START + number)
    draw(root, "b/project_a/sub/hist 100%.png", mtime_ns=START + 10)
    draw(root, "b/project_a/none.png", mtime_ns=START + 11)
    draw(root, "secret/project_a/sub/hist.png", mtime_ns=START + 12)
    index()
    found = overview.search(lambda session: session != "secret", query, 10)
    assert found.is_complete
    assert [plot.path for plot in found.plots] == ["b/project_a/sub/hist 100%.png", "a/project_4/sub/hist.png"]
    assert [plot.session for plot in overview.search(everything, query, 1).plots] == ["secret"]
    assert overview.search(lambda _: False, query, 10)[:2] == ([], True)
    assert [plot.session for plot in overview.search(ALL_SESSIONS, query, 9).plots] == [
        "secret",
        "b",
        "a",
    ]


@on_both_engines
def test_search_needs_each_word_in_the_filename_or_a_project(root: Path, index: Index, overview: Overview) -> None:
    for path in ("a/project_left/x_hist.png", "a/project_right/x_hist.png", "a/project_right/x_curve.png"):
        draw(root, path)
    draw(root, "secret/project_right/x_hist.png")
    index()

    def found(query: str) -> list[str]:
        return [plot.path for plot in overview.search(lambda session: session != "secret", query, 9).plots]

    for query in ("hist LEFT", "left hist", "X HIST", "*_hist.PNG left", "project_left", "x hist png left"):
        # The current copy stands for the key.
        assert found(query) == ["a/project_right/x_hist.png"], query
    assert sorted(found("right x")) == ["a/project_right/x_curve.png", "a/project_right/x_hist.png"]
    assert found("left curve") == found("left right curve") == found("hist*") == []
    assert [page.row.session for page in overview.sessions(everything, "SEC ret", 0, 9).previews] == ["secret"]


@on_both_engines
@pytest.mark.parametrize("allows_all", [None, True, False])
def test_time_in_the_future_is_placed_by_when_the_file_was_written(
    catalog: Catalog, overview: Overview, allows_all: bool | None
) -> None:
    now = time.time_ns()
    hour = 3600 * 10**9
    rows: list[list[Row]] = [
        [
            ("ahead", "p", "x.png", 1, now + 9 * hour, now - 2 * hour, 1),
            ("ahead", "p", "y.png", 1, now - 3 * hour, 1, 1),
        ],
        [("new", "p", "x.png", 1, now - hour, 1, 1), ("new", "q", "x.png", 1, now - 2 * hour, 1, 1)],
        [("old", "p", "x.png", 1, now - 4 * hour, 1, 1), ("old", "p", "z.png", 1, now + hour, now - 5 * hour, 1)],
    ]
    with catalog.writing() as writer:
        writer.apply([], rows)
    allows = SessionFilter(everything, allows_all)
    page = overview.sessions(allows, "", 0, 9)
    assert [(strip.row.session, *strip.total) for strip in page.previews] == [
        ("new", 1, 2),
        ("ahead", 2, 2),
        ("old", 2, 2),
    ]
    assert [strip.row.mtime_ns for strip in page.previews] == [now - hour, now - 2 * hour, now - 4 * hour]
    assert [plot.filename for plot in page.previews[2].latest] == ["x.png", "z.png"]
    pages = [overview.sessions(allows, "", skip, 1) for skip in range(4)]
    assert [[strip.row.session for strip in strips] for strips, _, _ in pages] == [["new"], ["ahead"], ["old"], []]
    assert [plot.path for plot in overview.search(allows, "x.png", 9).plots] == [
        "new/p/x.png",
        "ahead/p/x.png",
        "old/p/x.png",
    ]
    since = now - 3 * hour // 2
    recent = overview.sessions(allows, "", 0, 9, since=since)
    assert ([strip.row.session for strip in recent.previews], recent.total) == (["new"], 1)
    assert [plot.path for plot in overview.search(allows, "png", 9, since=since).plots] == ["new/p/x.png"]
    assert [plot.filename for plot in overview.latest("ahead", 9, allows)[2]] == ["x.png", "y.png"]
    assert list(overview.drawn_ahead("ahead").values()) == [now - 2 * hour]


@on_both_engines
def test_session_added_during_a_search_is_checked(root: Path, index: Index, overview: Overview) -> None:
    draw(root, "mine/project_a/hist.png")
    index()

    def allows(session: str) -> bool:
        draw(root, "secret/project_a/hist.png")
        index()
        return session == "mine"

    overview._search = NameSearch(overview._database, before_index=0)
    for given in (allows, SessionFilter(allows, is_all=False)):
        assert [plot.session for plot in overview.search(given, "hist", 9).plots] == ["mine"]


@on_both_engines
def test_wildcards_and_surrogates_are_searched_literally(root: Path, index: Index, overview: Overview) -> None:
    draw(root, "s/project_a/100%_a.png")
    draw(root, "s/project_a/100xya.png")
    index()
    assert [plot.filename for plot in overview.search(everything, "0%_", 9).plots] == ["100%_a.png"]
    assert overview.search(everything, "\udcff", 9)[:2] == ([], True)


@on_both_engines
def test_neighbours_are_by_filename_within_a_session(root: Path, index: Index, overview: Overview) -> None:
    for path in (
        "s/project_b/a.png",
        "s/project_a/b.png",
        "s/project_c/b.png",
        "s/project_a/c/d.png",
        "t/project_a/z.png",
    ):
        draw(root, path)
    index()
    assert overview.neighbours(PlotKey("s", "b.png"), ["b.png"]) == ("a.png", "c/d.png")
    assert overview.neighbours(PlotKey("s", "a.png"), ["a.png"]) == (None, "b.png")
    assert overview.neighbours(PlotKey("s", "c/d.png"), ["c/d.png"]) == ("b.png", None)
    entry = overview.entry(PlotKey("s", "b.png"))
    assert entry is not None
    assert len(entry.copies) == 2
    assert overview.entry(PlotKey("s", "nothing.png")) is None


def test_page_reports_an_incomplete_search(root: Path, index: Index, catalog: Catalog, settings: Settings) -> None:
    draw(root, "old/project_a/zy.png", mtime_ns=START)
    draw(root, "new/project_a/x.png", mtime_ns=START + 1)
    index()
    app = Flask("host")
    PlotIndex(app, root=root, state_dir=str(settings.state_dir), may_see=lambda _: True, gallery=True)
    address = "/api/smartstat/gallery/"
    assert (
        "Only the most recent plots were searched" not in app.test_client().get(address, query_string={"q": "zz"}).text
    )
    # As if it had so many plots that those of the old session are not come to.
    with catalog.writing() as writer:
        writer.connection.execute(session.update().where(session.c.session == "new").values(plots=NAMES_WITHOUT_INDEX))
    page = app.test_client().get(address, query_string={"q": "zy."}).text
    assert ("Only the most recent plots were searched" in page, page.count('<article class="card"')) == (True, 0)
    link = re.search(r'href="([^"]*)" rel="next"', page)
    assert link is not None
    older = app.test_client().get(address + html.unescape(link[1])).text
    assert ('rel="next"' in older, older.count('<article class="card"')) == (False, 1)


@on_both_engines
@pytest.mark.parametrize("allows_all", [None, True, False])
def test_search_whose_time_is_up_continues_behind_the_last_session_until_all_are_read(
    root: Path, index: Index, catalog: Catalog, allows_all: bool | None
) -> None:
    for number in range(6):
        draw(root, f"s{number}/project_a/{'odd' if number % 2 else 'even'}.png", mtime_ns=START - number // 2)
    index()
    overview = Overview(catalog)
    overview._search = NameSearch(catalog.database, before_index=0, index_seconds=0, search_seconds=0)
    sessions: list[str] = []
    after: SessionRow | None = None
    while True:
        page = overview.sessions(SessionFilter(everything, allows_all), "s[1-9]", 0, 10, after=after)
        sessions += [preview.row.session for preview in page.previews]
        if page.next is None:
            break
        after = page.next
    assert sessions == ["s1", "s2", "s3", "s4", "s5"]
    overview._search = NameSearch(catalog.database, 1, 1, index_seconds=0)
    paths: list[str] = []
    after = None
    while True:
        found = overview.search(SessionFilter(everything, allows_all), "*odd*", 10, after=after)
        paths += [plot.session for plot in found.plots]
        if found.next is None:
            break
        after = found.next
    # The index found names at first that are read later, with their projects.
    assert sorted(set(paths)) == ["s1", "s3", "s5"]


@on_both_engines
@pytest.mark.parametrize("query", ["*" + "a" * 96 + "b*", "*" + "a?" * 45 + "b*", "a" * 99 + "b"])
def test_search_through_long_names_ends_in_time(catalog: Catalog, overview: Overview, query: str) -> None:
    names = [f"{'a' * 2000}{number}.png" for number in range(4000)]
    with catalog.writing() as writer:
        writer.apply([], [[("evil", "project_a", name, 1, START, 1, 1) for name in sorted(names)]])
    started = time.monotonic()
    found = overview.search(SessionFilter(everything, is_all=False), query, 60)
    assert time.monotonic() - started < 10
    assert found.plots == []
