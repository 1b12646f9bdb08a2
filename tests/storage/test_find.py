"""`plotindex find`: conditions and output formats."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plotindex.config import parse_time
from plotindex.errors import SettingsError
from plotindex.index.root_identity import is_root_lost
from plotindex.storage import find as finding
from plotindex.storage.catalog import Catalog
from plotindex.storage.database import Database
from plotindex.storage.find import FoundPlot, PlotFilter, filenames, find_plots, project_names, session_names
from plotindex.storage.search.updater import IndexUpdater
from plotindex.storage.tables import plot, session
from plotindex.system.humanize import rfc3339
from plotindex.tree.globs import fold_case, glob_matcher, is_glob
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import Plot, PlotKey
from plotindex.tree.tree import Tree
from tests.support.postgres import NewDatabase, on_both_engines
from tests.support.processes import Index, RunPlotindex, draw

HOUR_NS = 3600 * 10**9
NOW_NS = 1_800_000_000 * 10**9
names = st.sampled_from(["a", "ab", "b", "A%", "ä", "a_"])
rows = st.lists(
    st.tuples(names, names | st.just("."), names, st.integers(0, 5)), unique_by=lambda row: row[:3], max_size=20
)
parts = st.sampled_from(["", "a", "B", ".", "b/a", "%", "_", "a*", "*/b", "[ab]", "ä", "?"])
moments = st.none() | st.integers(0, 6)


def fill(database: Database, plots: list[Plot]) -> None:
    """Store these plots in a database."""
    with database.writing() as connection:
        connection.execute(plot.delete())
        connection.execute(session.delete())
        for one in plots:
            connection.execute(plot.insert().values(**one._asdict(), clock=1))
        for name in {one.session for one in plots}:
            newest = max(one.mtime_ns for one in plots if one.session == name)
            connection.execute(session.insert().values(session=name, plots=1, mtime_ns=newest, clock=1))


@on_both_engines
@settings(max_examples=60, deadline=None)
@given(rows=rows, text=parts, of=st.none() | names, project=st.none() | parts, since=moments, before=moments)
def test_find_equals_a_filter_over_all_plots(
    new_database: NewDatabase,
    engine: str,
    rows: list[tuple[str, str, str, int]],
    text: str,
    of: str | None,
    project: str | None,
    since: int | None,
    before: int | None,
) -> None:
    plots = [Plot(row[0], row[1], row[2], 1, row[3], 1, 1) for row in rows]

    def is_wanted(one: Plot) -> bool:
        named = is_so_called(one, text)
        of_project = project is None or (
            glob_matcher(project)(one.project) if is_glob(project) else project == one.project
        )
        young = since is None or one.mtime_ns >= since
        return bool(named and of_project and young and of in (None, one.session)) and (
            before is None or one.mtime_ns < before
        )

    def newest(one: Plot) -> Plot:
        copies = [other for other in plots if (other.session, other.filename) == (one.session, one.filename)]
        return max(copies, key=lambda copy: (copy.mtime_ns, copy.project.encode()))

    with new_database(engine) as database:
        fill(database, plots)
        found = list(find_plots(database, PlotFilter(text, of, project, since, before)))
    assert set(found) == {FoundPlot(one, one == newest(one)) for one in plots if is_wanted(one)}
    keys = [(one.plot.session.encode(), one.plot.filename.encode()) for one in found]
    assert keys == sorted(keys)


def is_so_called(one: Plot, text: str) -> bool:
    if is_glob(text):
        return any(map(glob_matcher(text), (one.filename.rpartition("/")[2], one.filename, one.path)))
    return fold_case(text) in fold_case(one.path)


paths = st.tuples(
    st.sampled_from(["run_1", "Run_12", "b", "project_1"]),
    st.sampled_from(["project_1", "project_run_1", "pro_ä", "Hist", "."]),
    st.sampled_from(["hist.png", "sub/HIST.png", "project_1/x.png", "un_1/a.png", "hist_Ä%.png", 'Ä"b.png']),
)


@on_both_engines
@settings(max_examples=40, deadline=None)
@given(
    paths=st.lists(paths, unique=True, max_size=12),
    cuts=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 20), st.integers(1, 20)), max_size=3),
    glue=st.sampled_from(["*", "?*", "[a-z]*", "/"]),
    taken_in=st.booleans(),
    most=st.sampled_from([0, 1, 1000]),
)
def test_candidate_keys_miss_no_plot(
    new_database: NewDatabase,
    engine: str,
    paths: list[tuple[str, str, str]],
    cuts: list[tuple[int, int, int]],
    glue: str,
    taken_in: bool,
    most: int,
) -> None:
    plots = [Plot(*parts, 1, 1, 1, 1) for parts in paths]
    # Parts of the paths there are, also beyond a slash, in any case, on their own or one after the other.
    pieces = [plots[one % len(plots)].path[start : start + length] for one, start, length in cuts if plots]
    texts = [*pieces, *(piece.swapcase() for piece in pieces), glue.join(pieces), glue.join(["", *pieces, ""])]
    with new_database(engine) as database, pytest.MonkeyPatch.context() as patch:
        fill(database, plots)
        if taken_in:
            Catalog(database).record_root("/srv", Layout(), 1)
            assert IndexUpdater(Catalog(database)).run(60)
        patch.setattr(finding, "MAX_PROJECTS", most)
        patch.setattr(finding, "MAX_KEYS", most)
        patch.setattr(finding, "MAX_RUNS", max(most, 1))
        patch.setattr(finding, "MAX_RUN_DEPTH", max(most, 1))
        for text in texts:
            found = {one.plot for one in find_plots(database, PlotFilter(text))}
            assert found == {one for one in plots if is_so_called(one, text)}, text


@on_both_engines
def test_globs_and_texts_of_thousands_of_parts_are_answered(new_database: NewDatabase, engine: str) -> None:
    filename = "/".join(["abcd" * 30] * 20) + ".png"
    with new_database(engine) as database:
        fill(database, [Plot("s", "project_a", filename, 1, 1, 1, 1)])
        for text in ("abc*" * 2000, "ab/cd/" * 3000, "*abc/" * 2000, "a" * 39_000):
            assert list(find_plots(database, PlotFilter(text))) == []
        for text in ("*abc" * 500 + "*", "abcd*" * 600 + "g", "*cd/ab" * 19 + "*", f"*/{filename[:2000]}*", filename):
            assert [one.plot.filename for one in find_plots(database, PlotFilter(text))] == [filename]


def test_long_text_has_few_candidate_keys(root: Path, index: Index, catalog: Catalog) -> None:
    for path in ("run_1/project_a/hist.png", "run_1/project_b/sub/hist.png", "run_2/project_hist/x.png"):
        draw(root, path)
    index()
    keys = {
        "HIST": {PlotKey("run_1", "hist.png"), PlotKey("run_1", "sub/hist.png"), PlotKey("run_2", "x.png")},
        "sub/hist": {PlotKey("run_1", "sub/hist.png")},
        "un_2/project_hist/x.p": {PlotKey("run_2", "x.png")},
        "*b/hist*": {PlotKey("run_1", "sub/hist.png")},
        "run_2": {PlotKey("run_2", "x.png")},
        "nothing": set(),
        "hi": None,
        "/": None,
    }
    for _ in ("before", "after"):
        assert {text: finding._candidate_keys(catalog.database, text) for text in keys} == keys
        assert IndexUpdater(catalog).run(60)


@on_both_engines
@settings(max_examples=30, deadline=None)
@given(rows=rows, beginning=names | st.just(""))
def test_each_name_with_a_prefix_is_completed_once(
    new_database: NewDatabase,
    engine: str,
    rows: list[tuple[str, str, str, int]],
    beginning: str,
) -> None:
    plots = [Plot(row[0], row[1], row[2], 1, row[3], 1, 1) for row in rows]

    def those(found: set[str]) -> list[str]:
        return sorted((name for name in found if name.startswith(beginning)), key=str.encode)

    with new_database(engine) as database:
        fill(database, plots)
        assert list(session_names(database, beginning)) == those({one.session for one in plots})
        for name in ("a", "ä"):
            own = [one for one in plots if one.session == name]
            assert list(filenames(database, name, beginning)) == those({one.filename for one in own})
            assert list(project_names(database, name, beginning)) == those({one.project for one in own})


@given(microseconds=st.integers(0, 4 * 10**15))
def test_rfc_3339_times_are_parsed(microseconds: int) -> None:
    nanoseconds = microseconds * 1000
    assert parse_time("--since", rfc3339(nanoseconds), NOW_NS) == nanoseconds
    local = datetime.fromtimestamp(microseconds // 10**6).isoformat()
    back = parse_time("--since", local, NOW_NS)
    # The hour that comes twice in autumn is one of the two.
    assert abs(back - microseconds // 10**6 * 10**9) in (0, HOUR_NS)


def test_ages_are_parsed() -> None:
    assert parse_time("--since", "2h", NOW_NS) == NOW_NS - 2 * HOUR_NS
    assert parse_time("--since", "2026-11-23t10:00:00.5+02:00", 0) == 1795420800_500000000
    midnight = datetime(2026, 11, 23).astimezone(UTC)
    assert parse_time("--since", "2026-11-23", 0) == midnight.timestamp() * 10**9


@pytest.mark.parametrize("text", ["9999-12-31T23:59", "2300-01-01", "1600-01-01", "999999w"])
def test_impossible_times_match_nothing(catalog: Catalog, text: str) -> None:
    moment = parse_time("--since", text, NOW_NS)
    assert list(find_plots(catalog.database, PlotFilter(since=moment, before=moment))) == []


def test_find_warns_that_the_root_is_missing(
    plotindex: RunPlotindex, root: Path, index: Index, tree: Tree, catalog: Catalog
) -> None:
    draw(root, "a/project_1/x.png")
    index()
    assert not is_root_lost(tree, catalog)
    gone = root.rename(root.with_name("gone"))
    away = plotindex("find", "x")
    assert (away.returncode, away.stdout) == (0, "a/project_1/x.png\n")
    assert away.stderr == (
        f"plotindex: The root {root} is missing: mount it again. These results are from the catalogue.\n"
    )
    # As a lost mount leaves it; and another root with the same sessions.
    root.mkdir()
    assert is_root_lost(tree, catalog)
    shutil.copytree(gone, root, dirs_exist_ok=True)
    assert not is_root_lost(tree, catalog)


@pytest.mark.parametrize("text", ["yesterday", "0h", "-2h", "2026-13-01", "25:00", "0001-01-01T00:00+14:00", "\udcff"])
def test_invalid_times_are_refused_with_examples(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--before must be an age such as 90s, 2h or 3d, or a time such as"):
        parse_time("--before", text, NOW_NS)


def test_pipes_get_paths_and_terminals_columns(
    plotindex: RunPlotindex, root: Path, index: Index, environment: dict[str, str]
) -> None:
    now = time.time_ns()
    draw(root, "a/project_1/x.png", b"x" * 30_500, mtime_ns=now - 7_500 * 10**9)
    draw(root, "a/project_2/x.png", mtime_ns=now - 8 * 86_400 * 10**9)
    draw(root, "a/project_x/new\nline\x1b.png")
    index()
    recent = plotindex("find", "--since", "3h", "--project", "project_[12]")
    assert (recent.returncode, recent.stdout) == (0, "a/project_1/x.png\n")
    assert plotindex("find", "--session", "a", "--before", "1d").stdout == "a/project_2/x.png\n"
    assert plotindex("find", "new").stdout == "a/project_x/new\\nline\\x1b.png\n"
    raw = plotindex("find", "-0", "*")
    assert raw.stdout == "a/project_x/new\nline\x1b.png\0a/project_1/x.png\0a/project_2/x.png\0"
    as_json = json.loads(plotindex("find", "*", "--json").stdout)
    assert [entry["path"] for entry in as_json] == raw.stdout.rstrip("\0").split("\0")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "plotindex", "find", "x", "--root", str(root)]
    subprocess.run(command, env=environment, stdout=theirs, check=True)
    os.close(theirs)
    told = b""
    with suppress(OSError):
        while piece := os.read(ours, 4096):
            told += piece
    os.close(ours)
    assert re.fullmatch(
        r" +\d+ B +\d+ s ago  \* a/project_x/new\\nline\\x1b\.png\r\n"
        r"   30 KB     2 h ago  \* a/project_1/x\.png\r\n"
        r" +\d+ B     8 d ago    a/project_2/x\.png\r\n",
        told.decode(),
    ), told


def test_find_without_conditions_is_refused(plotindex: RunPlotindex, root: Path, index: Index) -> None:
    index()
    for words, says in {
        (): "Select plots",
        ("",): "Select plots",
        ("x", "--since", "yesterday"): "--since must be an age",
        ("x", "-0", "--json"): "--null or --json",
    }.items():
        done = plotindex("find", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
    endless = plotindex("find", "x" * 60_000)
    assert (endless.returncode, endless.stderr) == (
        1,
        f"plotindex: No plot in the catalogue matches {'x' * 200}….\n",
    )
    nothing = plotindex("find", "--project", "project_9")
    assert (nothing.returncode, nothing.stderr) == (
        1,
        "plotindex: No plot in the catalogue in project project_9 matches.\n",
    )
