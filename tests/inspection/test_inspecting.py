"""What inspection finds in a tree, and when it reads which plot."""

import errno
import os
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from PIL import Image

from plotindex.errors import RootLostError
from plotindex.inspection import inspector
from plotindex.inspection.access import read_facts
from plotindex.inspection.examine import MAX_BYTES
from plotindex.tree.plots import OpenPlot, PlotKey
from plotindex.tree.session_filter import ALL_SESSIONS, SessionFilter
from tests.support.images import encoded, halves
from tests.support.inspection import InspectionSite
from tests.support.postgres import on_both_engines

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'><title>%s</title><text>Counts</text></svg>"
PNG = encoded(halves())
SLOW_SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg' width='2000' height='2000'><filter id='f'>"
    "<feTurbulence baseFrequency='0.5' numOctaves='9'/></filter><text>slow</text>"
    + "<rect width='2000' height='2000' filter='url(#f)'/>" * 200
    + "</svg>"
).encode()
"""Takes all the time that the renderer gives to one plot."""


@on_both_engines
def test_a_plot_has_the_facts_of_its_present_version(site: InspectionSite) -> None:
    site.draw("s/project_a/hist.svg", SVG % b"Residuals of model A")
    site.index()
    assert site.inspect() == 1
    found = site.facts("s/project_a/hist.svg")
    assert found is not None
    assert (found.title, found.text, found.width, found.flags) == ("Residuals of model A", ("Counts",), 90, frozenset())
    site.draw("s/project_a/hist.svg", SVG % b"Model B")
    site.index()
    assert site.facts("s/project_a/hist.svg") is None, "what is known is about another version"
    assert site.inspect() == 1
    found = site.facts("s/project_a/hist.svg")
    assert found is not None
    assert found.title == "Model B"


def test_a_huge_plot_is_not_read_and_equals_no_other(site: InspectionSite) -> None:
    for project in "ab":
        with site.draw(f"s/project_{project}/huge.png", PNG).open("ab") as file:
            file.truncate(MAX_BYTES + 1)
    site.index()
    with patch("plotindex.inspection.examine.digest_of", side_effect=AssertionError):
        assert site.inspect() == 2
    [plot, _] = site.plots()
    facts = read_facts(site.catalog.database, plot, ALL_SESSIONS).as_json()
    assert (facts["inspected"], facts["digest"], facts["flags"], facts["same"]) == (True, None, [], [])


def test_a_plot_that_grows_without_end_while_it_is_read_is_given_up(
    site: InspectionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot = site.draw("s/project_a/x.png", PNG)
    site.index()
    pread = os.pread

    def grow(fd: int, *place: int) -> bytes:
        os.truncate(plot, 1 << 40)
        return pread(fd, *place)

    monkeypatch.setattr(os, "pread", grow)
    assert site.inspect() == 0
    assert site.facts("s/project_a/x.png") is None


def test_changes_come_before_the_backlog_each_the_newest_first(site: InspectionSite) -> None:
    for number in range(4):
        site.draw(f"s/project_a/{number}.png", PNG)
        site.index()
    site.inspect(most=1, is_stopped=lambda: True)
    site.draw("s/project_a/new.png", PNG)
    site.index()
    order = []
    for _ in range(6):
        site.inspect(most=1)
        order += [plot.filename for plot in site.plots() if site.facts(plot.path) and plot.filename not in order]
    assert order[0] == "new.png"
    assert sorted(order[1:]) == ["0.png", "1.png", "2.png", "3.png"]


def order_of(site: InspectionSite, steps: int) -> list[str]:
    """The paths in the order in which so many steps inspect them, each step one."""
    order: list[str] = []
    for _ in range(steps):
        stops = iter([False, True])
        site.inspect(0, most=1, is_stopped=lambda stops=stops: next(stops))  # type: ignore[misc]  # mypy: bound
        order += [plot.path for plot in site.plots() if site.facts(plot.path) and plot.path not in order]
    return order


@on_both_engines
def test_a_session_that_draws_without_pause_delays_no_other(site: InspectionSite) -> None:
    for session in ("busy", "calm", "slow"):
        site.draw(f"{session}/project_a/known.png", PNG)
    site.index()
    site.inspect()
    site.draw("calm/project_a/x.png", PNG)
    site.draw("slow/project_a/x.png", PNG)
    site.index()
    for number in range(20):
        site.draw(f"busy/project_a/{number}.png", PNG)
        site.index()
    for number in range(20):
        site.draw(f"new{number}/project_a/x.png", PNG)
        site.index()
    site.inspect(3, most=1, is_stopped=lambda: True)
    known = {plot.path for plot in site.plots() if site.facts(plot.path)}
    order = [path for path in order_of(site, 8) if path not in known]
    assert {"calm/project_a/x.png", "slow/project_a/x.png"} <= set(order[:4]), order
    assert sum(path.startswith("new") for path in order[:4]) == 1, order


def test_plots_that_take_long_delay_no_other_session(site: InspectionSite) -> None:
    for session in ("slow", "calm"):
        site.draw(f"{session}/project_a/known.png", PNG)
    site.index()
    site.inspect()
    for number in range(4):
        site.draw(f"slow/project_a/{number}.svg", SLOW_SVG + b" " * number)
    for number in range(20):
        site.draw(f"calm/project_a/{number}.png", encoded(halves(), "PNG", dpi=(100 + number, 100)))
    site.index()
    site.inspect(3, most=1, is_stopped=lambda: True)
    calm = [plot.path for plot in site.plots() if plot.session == "calm"]
    slow = [plot.path for plot in site.plots() if plot.session == "slow" and plot.path.endswith(".svg")]
    while not all(map(site.facts, calm)):
        assert sum(site.facts(path) is not None for path in slow) < 2
        site.inspect(0, most=1, is_stopped=partial(next, iter((False, True))))


def test_a_change_behind_thousands_of_others_has_its_turn_at_once(site: InspectionSite) -> None:
    for session in ("busy", "calm"):
        site.draw(f"{session}/project_a/known.png", PNG)
    site.index()
    site.inspect()
    for number in range(3000):
        site.draw(f"busy/project_a/{number}.png", PNG)
    site.index()
    site.draw("calm/project_a/x.png", PNG)
    site.index()
    site.inspect(most=2)
    assert site.facts("calm/project_a/x.png")


def test_the_backlog_is_inspected_also_while_plots_are_drawn_without_pause(site: InspectionSite) -> None:
    site.draw("s/project_a/old.png", PNG)
    site.index()
    site.inspect(most=1, is_stopped=lambda: True)
    for _ in range(20):
        site.draw("busy/project_a/x.png", PNG)
        site.index()
        site.inspect(3, most=1)
    assert site.facts("s/project_a/old.png")


def test_a_young_plot_is_read_once_it_can_change_no_more_unseen(site: InspectionSite) -> None:
    site.draw("s/project_a/x.png", PNG)
    site.index()
    assert site.inspect(0) == 0
    assert site.inspect() == 1


@on_both_engines
def test_equal_bytes_are_drawn_once_wherever_they_are_moved(site: InspectionSite) -> None:
    site.draw("s/project_a/x.png", PNG)
    site.index()
    site.inspect()
    (site.root / "s/project_a").rename(site.root / "s/project_b")
    site.index()
    with patch.object(site.renderer, "inspect", side_effect=AssertionError("drawn again")):
        assert site.inspect() == 1
    assert site.facts("s/project_b/x.png") == site.found_anew(site.plots()[0])


@on_both_engines
def test_equal_bytes_of_another_session_save_no_time(site: InspectionSite) -> None:
    site.draw("theirs/project_a/x.png", PNG)
    site.index()
    site.inspect()
    site.draw("mine/project_a/guess.png", PNG)
    site.index()
    with patch.object(site.renderer, "inspect", wraps=site.renderer.inspect) as looked:
        assert site.inspect() == 1
    assert looked.call_count == 1


def test_equal_bytes_with_another_suffix_are_looked_at_again(site: InspectionSite) -> None:
    site.draw("s/project_a/x.png", PNG)
    site.draw("s/project_a/x.jpg", PNG)
    site.index()
    site.inspect()
    for name, flags in {"x.png": frozenset(), "x.jpg": frozenset({"broken"})}.items():
        found = site.facts(f"s/project_a/{name}")
        assert found is not None
        assert found.flags == flags


@on_both_engines
def test_facts_of_a_removed_plot_are_deleted_a_day_later(site: InspectionSite) -> None:
    site.draw("s/project_a/x.png", PNG).unlink()
    plot = site.draw("s/project_a/y.svg", SVG % b"Title")
    site.index()
    site.inspect()
    plot.unlink()
    site.index()
    site.inspect()
    assert count(site, "facts") == 1
    site.start()
    site.inspect(90_000)
    assert count(site, "facts") == 0


@on_both_engines
def test_facts_of_many_removed_plots_are_deleted_before(site: InspectionSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "KEPT_GONE", 2)
    for number in range(5):
        plot = site.draw(f"s/project_a/{number}.svg", SVG % b"%d" % number)
        site.index()
        site.inspect()
        plot.unlink()
        site.index()
    site.draw("s/project_a/here.svg", SVG % b"here")
    site.index()
    site.start()
    site.inspect()
    assert count(site, "facts") == 3


def test_nothing_is_read_while_the_root_is_lost(site: InspectionSite, tmp_path: Path) -> None:
    site.draw("s/project_a/x.png", PNG)
    site.index()
    site.root.rename(tmp_path / "away")
    site.root.mkdir()
    with pytest.raises(RootLostError, match="is missing: mount it again"):
        site.inspect()
    site.root.rmdir()
    (tmp_path / "away").rename(site.root)
    assert site.inspect() == 1


def test_a_plot_that_changes_before_it_is_read_waits_for_its_row(site: InspectionSite) -> None:
    plot = site.draw("s/project_a/x.png", PNG)
    site.index()
    plot.write_bytes(encoded(Image.new("RGB", (300, 200))))
    assert site.inspect() == 0
    site.index()
    assert site.inspect() == 1


def test_a_plot_that_cannot_be_read_does_not_stop_the_others(site: InspectionSite) -> None:
    site.draw("s/project_a/x.png", PNG)
    site.draw("s/project_a/y.png", PNG)
    site.index()
    opened = site.tree.open

    def open_other(key: PlotKey, project: str) -> OpenPlot | None:
        if key.filename == "x.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(key, project)

    with patch.object(site.tree, "open", open_other):
        assert site.inspect() == 1
    assert site.inspect() == 0
    assert site.inspect(700) == 1


def test_a_caller_learns_of_equal_plots_in_own_sessions_alone(site: InspectionSite) -> None:
    for session in ("s", "t"):
        site.draw(f"{session}/project_a/x.png", PNG)
    site.index()
    site.inspect()
    [plot] = site.catalog.plots("s")
    everything = read_facts(site.catalog.database, plot, ALL_SESSIONS)
    assert [copy.path for copy in everything.same] == ["t/project_a/x.png"]
    assert everything.flags == ["duplicate"]
    own = read_facts(site.catalog.database, plot, SessionFilter.only("s"))
    assert (own.same, own.flags) == ([], [])


def test_a_plot_is_stale_once_most_of_its_project_was_drawn_again(site: InspectionSite) -> None:
    now = time.time()
    for name, age in {"old": 7200, "a": 0, "b": 30, "c": 80}.items():
        plot = site.draw(f"s/project_a/{name}.png", PNG)
        os.utime(plot, (now - age, now - age))
    os.utime(site.draw("s/project_b/old.png", PNG), (now - 7200, now - 7200))
    site.draw("s/project_b/new.png", PNG)
    site.index()
    stale = {
        plot.path for plot in site.plots() if "stale" in read_facts(site.catalog.database, plot, ALL_SESSIONS).flags
    }
    assert stale == {"s/project_a/old.png"}, "a single new plot says nothing about the one before"


def count(site: InspectionSite, table: str) -> int:
    with site.catalog.database.reading() as connection:
        [(number,)] = connection.driver.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(number)
