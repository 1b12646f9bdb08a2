"""Search by name: equal to a scan of all names at any index position, and only in allowed sessions."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from plotindex.index.reconcile import reconcile
from plotindex.index.report import Options
from plotindex.storage.catalog import Catalog, SessionRow
from plotindex.storage.database import Database
from plotindex.storage.postgres.database import PostgresDatabase
from plotindex.storage.rows import CURRENT_COPY
from plotindex.storage.search.fulltext_sql import SearchTimeoutError, time_limit
from plotindex.storage.search.name_search import NameSearch, SearchResult
from plotindex.storage.search.updater import IndexUpdater
from plotindex.storage.tables import follower, name
from plotindex.storage.writer import Change
from plotindex.tree.globs import glob_matcher, literal_runs
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import Plot, PlotKey, Row, newest_first
from plotindex.tree.query import query_matcher
from plotindex.tree.tree import Tree
from tests.support.postgres import NewDatabase, connected, on_both_engines, on_postgresql
from tests.support.processes import Index, StartService, draw, wait_until

SIGNS = st.sampled_from(
    [*"aAbkKß0%_-/. *?[]!^\\", '"', "'", "Ä", "ä", "\u212a", "\u017f", "\u202e", "\u0301", "𝄞", "\n"]
)
texts = st.text(SIGNS, min_size=1, max_size=9)
sessions = st.sampled_from(["s", "t", "u"])
projects = st.sampled_from(["p", "A-k"])
plots = st.builds(Plot, sessions, projects, texts, st.just(1), st.integers(0, 9), *[st.just(1)] * 2)
steps = st.lists(
    st.one_of(
        st.lists(plots, max_size=8, unique_by=lambda plot: plot[:3]),
        st.just("take in"),
        st.just("index all"),
        st.just("trim"),
        st.just("forget"),
    ),
    max_size=12,
)


@on_both_engines
@settings(max_examples=28, deadline=None)
@given(steps=steps, texts=st.lists(texts, max_size=4), before_index=st.sampled_from([0, 10**6]))
@example(steps=[[Plot("s", "p", 'aaa"bb', 1, 1, 1, 1)], "index all"], texts=['A"B', 'aaa" OR "b'], before_index=0)
@example(steps=[[Plot("s", "p", "xyz", 1, 1, 1, 1)], "index all", [], "index all"], texts=["xyz"], before_index=0)
@example(steps=[[Plot("s", "p", "x", 1, 1, 1, 1), Plot("s", "q", "x", 1, 2, 1, 1)]], texts=["P X"], before_index=9)
@example(steps=[[Plot("s", "p", "abc-xyz", 1, 1, 1, 1)], "index all"], texts=["XYZ abc"], before_index=0)
def test_search_equals_a_scan_of_all_names_at_any_index_position(
    new_database: NewDatabase,
    engine: str,
    steps: list[list[Plot] | str],
    texts: list[str],
    before_index: int,
) -> None:
    with new_database(engine) as database:
        catalog = Catalog(database)
        catalog.record_root("/srv", Layout(), 1)
        updater = IndexUpdater(catalog)
        there: dict[tuple[str, str, str], Plot] = {}
        for step in steps:
            if isinstance(step, list):
                there = change(catalog, there, step)
            elif step == "trim":
                with catalog.writing() as writer:
                    writer.trim_removals(keep=0)
            elif step == "forget":
                with database.writing() as connection:
                    connection.execute(follower.delete())
            else:
                updater.step(limit=1000 if step == "index all" else 3)
        names = NameSearch(database, before_index=before_index, index_seconds=60)
        for text in [*texts, *(plot.filename[1:6] for plot in there.values())]:
            found = names.search(text, catalog.latest_sessions(), 1000, everywhere=True)
            assert found.is_complete
            # The index of names knows no projects.
            is_indexed = before_index == 0 and any(len(run) > 2 for word in text.split() for run in literal_runs(word))
            matches = query_matcher(text)
            assert by_key(found.plots) == {
                key: current
                for key, current in current_copies(there.values()).items()
                if matches([key.filename, *(() if is_indexed else projects_of(key, there.values()))])
            }
            assert [plot.mtime_ns for plot in found.plots] == sorted((p.mtime_ns for p in found.plots), reverse=True)
        assert updater.run(60)
        assert taken_in(database) == set(current_copies(there.values()))
        check_index(database)


def change(
    catalog: Catalog, there: dict[tuple[str, str, str], Plot], wanted: list[Plot]
) -> dict[tuple[str, str, str], Plot]:
    """Store these plots, in place of every third stored one."""
    kept = {key: plot for number, (key, plot) in enumerate(there.items()) if number % 3}
    after = {**kept, **{plot[:3]: plot for plot in wanted}}
    keys = sorted(there.keys() | after.keys())
    changes = [Change(there.get(key), after.get(key)) for key in keys if there.get(key) != after.get(key)]
    with catalog.writing() as writer:
        writer.apply(changes)
    return after


def current_copies(there: Iterable[Plot]) -> dict[PlotKey, Plot]:
    copies: dict[PlotKey, list[Plot]] = {}
    for plot in there:
        copies.setdefault(PlotKey(plot.session, plot.filename), []).append(plot)
    return {key: newest_first(own)[0] for key, own in copies.items()}


def projects_of(key: PlotKey, there: Iterable[Plot]) -> list[str]:
    return [plot.project for plot in there if (plot.session, plot.filename) == key]


def by_key(found: list[Plot]) -> dict[PlotKey, Plot]:
    assert len({plot[:3] for plot in found}) == len(found)
    return {PlotKey(plot.session, plot.filename): plot for plot in found}


def taken_in(database: Database) -> set[PlotKey]:
    with database.reading() as connection:
        return {PlotKey(*row) for row in connection.execute(select(name.c.session, name.c.filename))}


def check_index(database: Database) -> None:
    """Check the FTS5 index against its content table."""
    if database.file is not None:
        with closing(sqlite3.connect(database.file)) as connection, connection:
            connection.execute("INSERT INTO name_trigram(name_trigram, rank) VALUES ('integrity-check', 1)")


@settings(max_examples=300)
@given(pattern=texts, name=texts)
@example(pattern="a[!]b]c[", name="axc[")
@example(pattern="[]]b", name="]b")
def test_literal_runs_are_in_every_matching_name(pattern: str, name: str) -> None:
    if glob_matcher(pattern)(name):
        at = 0
        for run in literal_runs(pattern):
            at = name.index(run, at) + len(run)


def test_literal_runs_are_maximal() -> None:
    assert literal_runs("*corr?_00[12]*.png") == ["corr", "_00", ".png"]
    assert literal_runs("a[b*c") == ["a[b", "c"]
    assert literal_runs("plain") == ["plain"]
    assert literal_runs("**") == []


@pytest.fixture
def search(catalog: Catalog) -> Callable[[str], SearchResult]:
    """A search of all sessions that uses the index at once."""
    names = NameSearch(catalog.database, before_index=0, index_seconds=60)
    return lambda text: names.search(text, catalog.latest_sessions(), 5, everywhere=True)


def filenames(found: SearchResult) -> list[str]:
    return [plot.filename for plot in found.plots]


def test_last_changed_keys_are_sorted_by_mtime(
    root: Path, index: Index, catalog: Catalog, search: Callable[[str], SearchResult]
) -> None:
    for number in range(9):
        draw(root, f"s/project_a/hist_{number}.png", mtime_ns=10**18 + number)
    index()
    assert IndexUpdater(catalog).run(60)
    draw(root, "s/project_b/hist_0.png", mtime_ns=10**18 + 100)
    for expected in ("behind", "taken in"):
        index()
        assert filenames(search("hist")) == [f"hist_{number}.png" for number in (0, 8, 7, 6, 5)], expected
        assert IndexUpdater(catalog).run(60)


def test_index_is_rebuilt_after_from_scratch_and_after_being_emptied(
    root: Path, tree: Tree, catalog: Catalog, search: Callable[[str], SearchResult]
) -> None:
    draw(root, "s/project_a/hist.png")
    gone = draw(root, "s/project_a/gone.png")
    reconcile(tree, catalog, [""])
    assert IndexUpdater(catalog).run(60)
    gone.unlink()
    reconcile(tree, catalog, [""], Options(rewrite=True))
    keys = {PlotKey("s", "hist.png")}
    for statement in ("SELECT 1", "DELETE FROM follower", "DELETE FROM name"):
        with closing(sqlite3.connect(catalog.database.path)) as connection:
            connection.executescript(statement)
        assert (filenames(search("hist")), filenames(search("gone"))) == (["hist.png"], [])
        assert IndexUpdater(catalog).run(60)
        assert taken_in(catalog.database) == keys
        check_index(catalog.database)
        assert (filenames(search("hist")), filenames(search("gone"))) == (["hist.png"], [])


def test_search_reports_that_it_is_incomplete(catalog: Catalog) -> None:
    rows = [Plot("s", "p", f"{number}.png", 1, number, 1, 1) for number in range(50)]
    rows += [Plot("t", "p", "old.png", 1, 0, 1, 1)]
    with catalog.writing() as writer:
        writer.apply([Change(None, row) for row in rows])
    sessions = catalog.latest_sessions()
    hasty = NameSearch(catalog.database, before_index=0, without_index=10)
    assert hasty.search("ld", sessions, 5, everywhere=True)[:2] == ([], False)
    assert hasty.search("old", sessions, 5)[:2] == ([], False)
    assert filenames(hasty.search("1", sessions, 5)) == [f"{number}.png" for number in (41, 31, 21, 19, 18)]
    assert hasty.search("1", sessions, 5).is_complete
    assert filenames(hasty.search("old", sessions, 5, everywhere=True)) == ["old.png"]
    with catalog.writing() as writer:
        writer.apply([Change(None, Plot("u", "p", f"abc {number} xyz", 1, 0, 1, 1)) for number in range(500)])
    assert IndexUpdater(catalog).run(60)
    late = NameSearch(catalog.database, before_index=0, index_seconds=0)
    assert late.search("*xyz*abc*", catalog.latest_sessions(), 5, everywhere=True)[:2] == ([], False)
    assert late.search("old", sessions, 5).is_complete


@on_postgresql
def test_search_timeout_on_a_server_leaves_it_usable(catalog: Catalog) -> None:
    rows: list[Row] = [("s", "p", f"abc {number} xyz", 1, 0, 1, 1) for number in range(20_000)]
    with catalog.writing() as writer:
        writer.apply([], [rows])
    assert IndexUpdater(catalog).run(60)
    sessions = catalog.latest_sessions()
    hasty = NameSearch(catalog.database, before_index=0, index_seconds=0)
    assert hasty.search("*xyz*abc*", sessions, 5, everywhere=True)[:2] == ([], False)
    patient = NameSearch(catalog.database, before_index=0, index_seconds=60)
    assert patient.search("*xyz*abc*", sessions, 5, everywhere=True)[:2] == ([], True)
    assert filenames(patient.search("12345", sessions, 5, everywhere=True)) == ["abc 12345 xyz"]


@on_postgresql
def test_slow_lookup_within_a_search_times_out(catalog: Catalog) -> None:
    assert isinstance(catalog.database, PostgresDatabase)
    url = catalog.database.url.render_as_string(hide_password=False)
    with connected(url) as other, catalog.database.reading() as connection:
        with other.transaction():
            other.execute("LOCK TABLE plot IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(SearchTimeoutError), time_limit(connection, 0.02):
                CURRENT_COPY(connection, {"of_session": "s", "of_filename": "x.png"})
        assert not CURRENT_COPY(connection, {"of_session": "s", "of_filename": "x.png"})
        assert connection.execute(text("SHOW statement_timeout")).scalar() != "20ms"


def test_search_of_some_sessions_reads_no_other_names(root: Path, index: Index, catalog: Catalog) -> None:
    draw(root, "mine/project_a/hist.png")
    draw(root, "secret/project_a/hist.png")
    index()
    assert IndexUpdater(catalog).run(60)
    with closing(sqlite3.connect(catalog.database.path)) as connection:
        connection.executescript("DROP TABLE name_trigram; DROP TABLE name; DELETE FROM plot WHERE session = 'secret'")
    names = NameSearch(catalog.database, before_index=0)
    mine = [row for row in catalog.latest_sessions() if row.session == "mine"]
    assert [plot.path for plot in names.search("hist", mine, 5).plots] == ["mine/project_a/hist.png"]
    assert names.search("hist", [SessionRow("mine", 1, 0)], 5).is_complete


def test_idle_indexer_updates_the_index(root: Path, catalog: Catalog, indexer: StartService) -> None:
    draw(root, "s/project_a/x.png")
    with indexer():
        wait_until(lambda: taken_in(catalog.database) == {PlotKey("s", "x.png")})
        draw(root, "s/project_a/y.png").rename(root / "s/project_a/z.png")
        wait_until(lambda: taken_in(catalog.database) == {PlotKey("s", "x.png"), PlotKey("s", "z.png")})
