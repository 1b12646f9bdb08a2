"""Listing once and following the changes always gives the current listing."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plotindex.index.reconcile import reconcile
from plotindex.index.report import Options
from plotindex.storage.catalog import Catalog
from plotindex.storage.listing import ChangesPage, Listing, Page
from plotindex.storage.rows import Entry
from plotindex.system.humanize import rfc3339
from plotindex.tree.plots import PlotKey
from plotindex.tree.tree import Tree
from tests.support.postgres import NewDatabase, on_both_engines
from tests.support.processes import draw

Known = dict[PlotKey, Entry]
sessions = st.sampled_from(["a", "b", "c"])
projects = st.sampled_from(["project_1", "project_2"])
names = st.sampled_from(["x.png", "y.svg", "sub/z.png"])
places = st.tuples(sessions, projects, names).map("/".join)
LONG = "/".join(["é" * 120] * 4)
COPIES = 600
"""Of two keys with such a filename, more than a page has room for."""
steps = st.one_of(
    st.tuples(st.just("draw"), places, st.integers(0, 3)),
    st.tuples(st.just("remove"), places, st.just(0)),
    st.tuples(st.just("drop"), sessions, st.just(0)),
    st.tuples(st.just("follow"), st.just(""), st.integers(1, 5)),
    st.tuples(st.just("rewrite"), st.just(""), st.just(0)),
    st.tuples(st.just("trim"), st.just(""), st.integers(1, 3)),
)


class Reader:
    """A client that lists once and then follows the changes."""

    def __init__(self, listing: Listing, allows: Callable[[str], bool]) -> None:
        self.listing = listing
        self.allows = allows
        self.clock, self.within = 0, b""
        self.known: Known = {}

    def follow(self, most: int, pages: int | None = None) -> None:
        """Read the next pages, by default all."""
        more = True
        while more and pages != 0:
            pages = pages and pages - 1
            changes = self.listing.changes(self.clock, self.allows, limit=most, within=self.within)
            before, self.within = (self.clock, self.within), changes.within
            if changes.fresh:
                self.clock, self.known = changes.clock, everything(self.listing, self.allows)
                continue
            assert (changes.clock, changes.within) != before or not changes.more
            self.known |= {entry.key: entry for entry in changes.changed}
            for key in changes.removed:
                self.known.pop(key, None)
            self.clock, more = changes.clock, changes.more


class Made(NamedTuple):
    """An empty tree and its empty catalogue."""

    root: Path
    tree: Tree
    catalog: Catalog
    listing: Listing


@contextmanager
def made(new_database: NewDatabase, engine: str) -> Iterator[Made]:
    with TemporaryDirectory() as folder, new_database(engine) as database:
        root = Path(folder)
        tree, catalog = Tree(root), Catalog(database)
        catalog.record_root(str(root), tree.layout, 1000)
        yield Made(root, tree, catalog, Listing(database))


def everything(listing: Listing, allows: Callable[[str], bool]) -> Known:
    seen: Known = {}
    for row in listing.sessions(allows, 1000).sessions:
        page = Page(0, [], "")
        while page.next is not None:
            page = listing.plots(row.session, 1000, page.next)
            seen |= {entry.key: entry for entry in page.entries}
    return seen


def pages_since(made: Made, clock: int) -> Iterator[ChangesPage]:
    """The pages of changes since a clock, each read when the one before is used."""
    page = made.listing.changes(clock, lambda _: True)
    yield page
    while page.more:
        page = made.listing.changes(page.clock, lambda _: True, within=page.within)
        yield page


def change(made: Made, step: str, path: str, number: int) -> None:
    root, tree, catalog, _ = made
    if step == "draw":
        draw(root, path, b"x" * number)
    elif step == "remove":
        (root / path).unlink(missing_ok=True)
    elif step == "drop":
        shutil.rmtree(root / path, ignore_errors=True)
    elif step == "trim":
        with catalog.writing() as writer:
            writer.trim_removals(number)
    reconcile(tree, catalog, [path], Options(rewrite=step == "rewrite", allow_empty=True))


@on_both_engines
@pytest.mark.parametrize("most_copies", [10_000, 2])
@settings(max_examples=30, deadline=None)
@given(story=st.lists(steps, max_size=25))
def test_following_changes_ends_with_the_listing(
    new_database: NewDatabase, engine: str, most_copies: int, story: list[tuple[str, str, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch, made(new_database, engine) as place:
        patch.setattr("plotindex.storage.listing.MAX_COPIES", most_copies)
        readers = [Reader(place.listing, lambda _: True), Reader(place.listing, lambda session: session != "b")]
        for step, path, number in story:
            if step == "follow":
                readers[0].follow(number, pages=1)
            else:
                change(place, step, path, number)
        for reader in readers:
            reader.follow(2)
            assert reader.known == everything(place.listing, reader.allows)


@on_both_engines
def test_search_whose_time_is_up_answers_what_it_has_and_continues_by_next(
    new_database: NewDatabase, engine: str
) -> None:
    with made(new_database, engine) as place:
        for number in range(9):
            for project in ("project_1", "project_2"):
                draw(place.root, f"s/{project}/{'even' if number % 2 == 0 else 'odd'}-{number}.png")
        reconcile(place.tree, place.catalog, [""])
        hasty = Listing(place.listing.database, search_seconds=0)
        found, after, pages = [], "", 0
        while (page := hasty.plots("s", 100, after, "*odd*")).next is not None:
            found += page.entries
            pages, after = pages + 1, page.next
        assert [entry.key.filename for entry in found + page.entries] == [
            f"odd-{number}.png" for number in (1, 3, 5, 7)
        ]
        assert all(len(entry.copies) == 2 for entry in found)
        assert pages == 8
        assert len(place.listing.plots("s", 100, "", "*odd*").entries) == 4
        assert len(hasty.plots("s", 100).entries) == 9


@on_both_engines
def test_search_for_sessions_whose_time_is_up_continues_and_names_no_session_that_the_caller_may_not_see(
    new_database: NewDatabase, engine: str
) -> None:
    with made(new_database, engine) as place:
        for name in ("a", "b-secret", "c", "d-secret", "e-secret", "f"):
            draw(place.root, f"{name}/project_1/x.png")
        reconcile(place.tree, place.catalog, [""])
        hasty = Listing(place.listing.database, search_seconds=0)
        for query, wanted in (("c", ["c"]), ("*", ["a", "c", "f"]), ("secret", [])):
            after: str | None = ""
            found, told = [], []
            while after is not None:
                page = hasty.sessions(lambda name: "secret" not in name, 100, after, query)
                found += [row.session for row in page.sessions]
                after = page.next
                told.append(after)
            assert (found, told) == (wanted, ["a", "c", "f", None]), query


@on_both_engines
def test_page_of_changes_ends_on_a_commit(new_database: NewDatabase, engine: str) -> None:
    with made(new_database, engine) as place:
        clocks = [place.listing.clock()]
        for first, last in ((0, 7), (7, 8), (8, 12)):
            for number in range(first, last):
                draw(place.root, f"s/project_1/{number:02}.png")
            reconcile(place.tree, place.catalog, [""])
            clocks.append(place.listing.clock())
        changes = place.listing.changes(clocks[0], lambda _: True, limit=3)
        assert (len(changes.changed), changes.clock, changes.more) == (7, clocks[1], True)
        changes = place.listing.changes(changes.clock, lambda _: True, limit=3)
        assert (len(changes.changed), changes.clock, changes.more) == (1, clocks[2], True)
        changes = place.listing.changes(changes.clock, lambda _: True, "s", limit=3)
        assert (len(changes.changed), changes.clock, changes.more) == (4, clocks[3], True)
        changes = place.listing.changes(changes.clock, lambda _: True, "s", limit=3)
        assert (changes.changed, changes.clock, changes.more) == ([], clocks[3], False)


@on_both_engines
def test_page_of_changes_ends_early_with_many_copies(
    new_database: NewDatabase, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotindex.storage.listing.MAX_COPIES", 5)
    with made(new_database, engine) as place:
        clock = place.listing.clock()
        for name in "abc":
            for project in range(4):
                draw(place.root, f"s/project_{project}/{name}.png")
            reconcile(place.tree, place.catalog, [""])
        pages = pages_since(place, clock)
        assert [[entry.key.filename for entry in page.changed] for page in pages] == [["a.png", "b.png"], ["c.png"]]


@on_both_engines
def test_page_of_changes_ends_within_a_commit_of_long_names(
    new_database: NewDatabase, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotindex.storage.listing.MAX_NAME_BYTES", 9_000)
    with made(new_database, engine) as place:
        clock = place.listing.clock()
        for project in range(6):
            for name in range(12):
                draw(place.root, f"s/project_{project}/{LONG}/{name}.png")
        reconcile(place.tree, place.catalog, [""])
        assert place.listing.clock() == clock + 1, "one commit"
        names = []
        for page in pages_since(place, clock):
            names.append([entry.key.filename for entry in page.changed])
            # A key that leaves the commit moves no other one.
            change(place, "remove", f"s/project_1/{LONG}/{len(names)}.png", 0)
        assert all(1 <= len(page) <= 2 for page in names)
        assert {name for page in names for name in page} == {f"{LONG}/{name}.png" for name in range(12)}


@on_both_engines
def test_page_of_changes_ends_within_a_commit_that_removes_long_names(
    new_database: NewDatabase, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotindex.storage.listing.MAX_NAME_BYTES", 5_000)
    with made(new_database, engine) as place:
        for name in range(12):
            draw(place.root, f"s/project_1/{LONG}/{name}.png")
        reconcile(place.tree, place.catalog, [""])
        clock = place.listing.clock()
        change(place, "drop", "s", 0)
        pages = list(pages_since(place, clock))
        assert [len(page.removed) for page in pages] == [6, 6]
        assert {key.filename for page in pages for key in page.removed} == {f"{LONG}/{name}.png" for name in range(12)}


@on_both_engines
def test_entry_lists_the_newest_copies_up_to_so_many_bytes_of_names(
    new_database: NewDatabase, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotindex.storage.listing.MAX_NAME_BYTES", 10_000)
    with made(new_database, engine) as place:
        clock = place.listing.clock()
        for project in range(15):
            draw(place.root, f"s/project_{project}/{LONG}/x.png", mtime_ns=project)
        reconcile(place.tree, place.catalog, [""])
        changes, page = place.listing.changes(clock, lambda _: True), place.listing.plots("s", 100)
        assert not changes.more
        newest = [f"project_{project}" for project in range(14, 4, -1)]
        for (entry,) in (changes.changed, page.entries):
            assert [copy.project for copy in entry.copies] == newest


@on_both_engines
def test_page_of_plots_ends_early_with_long_names(new_database: NewDatabase, engine: str) -> None:
    with made(new_database, engine) as place:
        for project in range(COPIES):
            for name in "abc":
                draw(place.root, f"s/project_{project}/{LONG}/{name}.png")
        reconcile(place.tree, place.catalog, [""])
        first = place.listing.plots("s", 1000)
        assert [(entry.key.filename[-5:], len(entry.copies)) for entry in first.entries] == [
            ("a.png", COPIES),
            ("b.png", COPIES),
        ]
        second = place.listing.plots("s", 1000, first.next or "")
        assert [entry.key.filename[-5:] for entry in second.entries] == ["c.png"]
        assert second.next is None


@on_both_engines
def test_unknown_cursor_is_fresh(new_database: NewDatabase, engine: str) -> None:
    with made(new_database, engine) as place:
        draw(place.root, "s/project_1/x.png")
        reconcile(place.tree, place.catalog, [""])
        now = place.listing.clock()
        for since in (0, 999, now + 1, 10**30):
            changes = place.listing.changes(since, lambda _: True)
            assert (changes.fresh, changes.clock, changes.changed, changes.more) == (True, now, [], False)
        assert not place.listing.changes(1000, lambda _: True).fresh


def test_times_have_nine_decimals() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(-(2**63)) == "1677-09-21T00:12:43.145224192Z"
    assert rfc3339(2**63 - 1) == "2262-04-11T23:47:16.854775807Z"
