"""The sides of a comparison: sessions, projects, and how they were."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text as statement

from plotindex.comparison.difference import make_pairs
from plotindex.comparison.sides import Side, UnknownSideError, parse_side, read_side
from plotindex.history.access import UnknownMomentError
from plotindex.storage.catalog import Catalog
from tests.conftest import NewHistory
from tests.support.history import HistorySite, history_site
from tests.support.postgres import NewDatabase

NOW = 1_800_000_000_000_000_000
KNOWN = {("s", None), ("s", "project_a"), ("a@2h", None)}
HOUR = 3_600_000_000_000


@pytest.fixture
def site(new_database: NewDatabase, new_history: NewHistory, engine: str) -> Iterator[HistorySite]:
    with new_database(engine) as database, new_history(engine, database) as of_history:
        catalog = Catalog(database)
        with history_site(catalog, of_history) as made:
            catalog.record_root(str(made.root), made.tree.layout, 1)
            yield made


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("s", Side("s", None, None)),
        ("s/project_a", Side("s", "project_a", None)),
        ("s@2h", Side("s", None, NOW - 2 * HOUR)),
        ("s/project_a@2h", Side("s", "project_a", NOW - 2 * HOUR)),
        ("a@2h", Side("a@2h", None, None)),
        ("a@2h@1h", Side("a@2h", None, NOW - HOUR)),
        ("who@home", Side("who@home", None, None)),
        ("who@home/project_a", Side("who@home", "project_a", None)),
    ],
)
def test_the_last_at_begins_a_time_if_it_is_one_and_no_session_has_the_whole_name(text: str, side: Side) -> None:
    assert parse_side(text, lambda *names: names in KNOWN, NOW) == side


def names(site: HistorySite, side: Side) -> dict[str, list[str]]:
    plots = read_side(side, site.catalog, site.history, is_limited=False)
    return {plot.shown.plot.path: sorted(file.plot.suffix for file in plot.files) for plot in plots.values()}


def test_siblings_are_one_plot_and_others_are_their_current_copy(site: HistorySite) -> None:
    for path in ("a/hist.png", "a/hist.svg", "b/hist.png", "b/sub/x.pdf"):
        site.draw(f"s/project_{path}", path)
        site.index()
    site.draw("s/project_a/hist.png", "newer")
    site.index()
    assert names(site, Side("s", None, None)) == {
        "s/project_a/hist.png": [".png", ".svg"],
        "s/project_b/sub/x.pdf": [".pdf"],
    }
    assert names(site, Side("s", "project_b", None)) == {
        "s/project_b/hist.png": [".png"],
        "s/project_b/sub/x.pdf": [".pdf"],
    }


def test_plots_are_paired_by_name_whatever_their_format(site: HistorySite) -> None:
    for path in ("a/x.png", "b/x.svg", "a/only.png", "b/new.png"):
        site.draw(f"s/project_{path}", path)
    site.index()
    sides = [
        read_side(Side("s", project, None), site.catalog, site.history, is_limited=False)
        for project in ("project_a", "project_b")
    ]
    pairs = {pair.filename: (pair.before is not None, pair.after is not None) for pair in make_pairs(*sides)}
    assert pairs == {"x.svg": (True, True), "only.png": (True, False), "new.png": (False, True)}


def test_a_side_is_as_it_was_then(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    gone = site.draw("s/project_a/gone.png", "gone")
    site.keep()
    moment = time.time_ns()
    site.draw("s/project_a/x.png", "two")
    site.draw("s/project_a/new.png", "new")
    gone.unlink()
    site.keep(60)
    with site.store.database.writing() as connection:
        # The clock of the test was ahead when the session was first seen.
        connection.execute(statement("UPDATE history_session SET since = 1"))
    then = read_side(Side("s", None, moment), site.catalog, site.history, is_limited=False)
    assert sorted(then) == ["gone.", "x."]
    [file] = then["x."].files
    opened = site.history.open("s", "x.png", file.plot.version, "project_a", is_limited=False)
    assert opened is not None
    with open(opened.fd, "rb") as content:
        assert content.read() == b"one"
    assert sorted(names(site, Side("s", None, None))) == ["s/project_a/new.png", "s/project_a/x.png"]


def test_an_unknown_side_and_a_time_before_the_history_are_refused(site: HistorySite) -> None:
    site.draw("s/project_a/x.png", "one")
    site.keep()
    with pytest.raises(UnknownSideError, match=r"There are no plots of other/project_a\."):
        read_side(Side("other", "project_a", None), site.catalog, site.history, is_limited=False)
    with pytest.raises(UnknownMomentError, match=r"The history of s begins at .*Z"):
        read_side(Side("s", None, 1), site.catalog, site.history, is_limited=False)
    with pytest.raises(UnknownMomentError, match=r"No history is kept of the session other\."):
        read_side(Side("other", None, NOW), site.catalog, site.history, is_limited=False)
