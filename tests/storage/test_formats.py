"""Siblings are one plot: in counts, previews, search and neighbours."""

from pathlib import Path

import pytest

from plotindex.storage import Entry, Overview, one_of_each
from plotindex.storage.catalog import Catalog
from plotindex.tree import Plot, PlotKey
from tests.support.postgres import on_both_engines
from tests.support.processes import Index, draw

MINUTE = 60 * 10**9
NOW = 10**18


@pytest.fixture
def overview(catalog: Catalog) -> Overview:
    return Overview(catalog)


def everything(session: str) -> bool:
    return bool(session)


def plot(filename: str, project: str = "project_a", age: int = 0) -> Plot:
    return Plot("s", project, filename, 1, NOW - age * MINUTE, 1, 1)


def neighbours(overview: Overview, key: PlotKey) -> tuple[str | None, str | None]:
    return overview.neighbours(key, {one.filename for one in overview.formats(Entry(key, []))})


def filenames(*plots: Plot) -> list[str]:
    return [one.filename for one in one_of_each(plots)]


def test_of_siblings_the_format_that_shows_best_is_shown() -> None:
    assert filenames(plot("a.pdf"), plot("b.svg"), plot("a.png"), plot("a.svg")) == ["a.png", "b.svg"]
    assert filenames(plot("a.pdf"), plot("a.PNG", project="project_b")) == ["a.pdf", "a.PNG"]
    assert filenames(plot("a.tif"), plot("a.odd")) == ["a.tif"]


def test_an_older_file_of_a_better_format_hides_no_newer_one() -> None:
    assert filenames(plot("a.pdf"), plot("a.png", age=1)) == ["a.png"]
    assert filenames(plot("a.pdf"), plot("a.png", age=2)) == ["a.pdf"]


def test_the_preferred_file_is_shown_whatever_its_age() -> None:
    given = [plot("a.png"), plot("a.pdf", age=9), plot("a.png", "project_b")]
    assert [one.filename for one in one_of_each(given, "a.pdf")] == ["a.pdf", "a.png"]


@on_both_engines
def test_siblings_are_one_plot(root: Path, index: Index, overview: Overview) -> None:
    for name in ("a.png", "h.pdf", "h.png", "h.svg", "h.x.png", "z.svg"):
        draw(root, f"s/project_a/{name}")
    draw(root, "s/project_b/h.svg")
    draw(root, "s/project_c/sub.d/h.png")
    index()
    [strip] = overview.sessions(everything, "", 0, 9).previews
    assert strip.total == (5, 6)
    assert {"s/project_a/h.png", "s/project_a/h.pdf"} & {one.path for one in strip.latest} == {"s/project_a/h.png"}
    found = overview.search(everything, "h.p", 9).plots
    assert sorted(one.path for one in found) == ["s/project_a/h.png", "s/project_c/sub.d/h.png"]
    key = PlotKey("s", "h.pdf")
    assert {one.path for one in overview.formats(Entry(key, []))} == {
        "s/project_a/h.pdf",
        "s/project_a/h.png",
        "s/project_a/h.svg",
        "s/project_b/h.svg",
    }
    for filename in ("h.pdf", "h.png", "h.svg"):
        assert neighbours(overview, key._replace(filename=filename)) == ("a.png", "h.x.png"), filename
    # Project B's copy is the newest.
    assert neighbours(overview, PlotKey("s", "h.x.png")) == ("h.svg", "sub.d/h.png")


@on_both_engines
def test_files_of_different_projects_are_one_plot_only_if_a_project_has_both(
    root: Path, index: Index, overview: Overview
) -> None:
    draw(root, "s/project_a/h.png")
    draw(root, "s/project_b/h.pdf")
    index()
    [strip] = overview.sessions(everything, "", 0, 9).previews
    assert strip.total == (2, 2)
    assert neighbours(overview, PlotKey("s", "h.png")) == ("h.pdf", None)
    assert len(overview.formats(Entry(PlotKey("s", "h.png"), [plot("h.png")]))) == 1
    draw(root, "s/project_c/h.pdf")
    draw(root, "s/project_c/h.png")
    index()
    [strip] = overview.sessions(everything, "", 0, 9).previews
    assert strip.total == (1, 3)
    assert neighbours(overview, PlotKey("s", "h.png")) == (None, None)
    assert len(overview.formats(Entry(PlotKey("s", "h.png"), [plot("h.png")]))) == 4
