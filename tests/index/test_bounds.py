"""Limits of the index: plots beyond them are found by scan and counted in `status`."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import requests
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from plotindex.config import load_settings
from plotindex.config.settings import Settings
from plotindex.index.liveness import require_indexer
from plotindex.index.lookup import CacheStatus, Lookup
from plotindex.index.reconcile import reconcile
from plotindex.index.verify import differences
from plotindex.ops.status import read_status
from plotindex.storage.catalog import Catalog
from plotindex.storage.truncated_sessions import Truncation
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import Plot, PlotKey
from plotindex.tree.tree import Tree
from plotindex.watch.barriers import wait_for_sync
from tests.guarantees.test_convergence import current_by_hand, fresh_catalog, plots_by_hand
from tests.support.postgres import NewDatabase
from tests.support.processes import RunPlotindex, StartService, all_plots, at_once, draw, suspended, wait_until
from tests.watch.test_watcher import Listening


def bounded(settings: Settings, *, max_plots: int = 100_000, max_depth: int = 32) -> Tree:
    return Tree(settings.root, Layout(max_plots=max_plots, max_depth=max_depth))


def names(plots: Iterable[Plot]) -> set[str]:
    return {f"{plot.project}/{plot.filename}" for plot in plots}


def is_short(filename: str, layout: Layout) -> bool:
    return filename.count("/") <= layout.max_depth and len(filename.encode()) <= layout.max_filename_bytes


def within_bounds(plots: set[Plot], layout: Layout) -> set[Plot]:
    """What a full scan indexes: the first filenames of each session, each with all its copies or none."""
    kept = set()
    for session in {plot.session for plot in plots}:
        own = [plot for plot in plots if plot.session == session and is_short(plot.filename, layout)]
        filenames = sorted(plot.filename.encode() for plot in own)
        sums = accumulate(map(len, filenames))
        is_within = [n < layout.max_plots and total <= layout.max_names_bytes for n, total in enumerate(sums)]
        cut = next((name for name, is_first in zip(filenames, is_within, strict=True) if not is_first), None)
        kept |= {plot for plot in own if cut is None or plot.filename.encode() < cut}
    return kept


def ask(tree: Tree, catalog: Catalog, key: PlotKey) -> tuple[Plot | None, CacheStatus]:
    """The answer of a server without cached scans."""
    opened, cache_status = Lookup(tree, catalog).open(*key)
    if opened is None:
        return None, cache_status
    os.close(opened.fd)
    return opened.plot, cache_status


def assert_answers_equal_a_scan(tree: Tree, catalog: Catalog, plots: set[Plot]) -> None:
    """Index (where it answers) ≡ scan ≡ tree, and a key has all its copies in the index or none."""
    rows = all_plots(catalog)
    assert rows <= plots
    for key in {PlotKey(plot.session, plot.filename) for plot in plots} | {PlotKey("s", "gone.png")}:
        copies = {plot for plot in plots if (plot.session, plot.filename) == key}
        indexed = {plot for plot in rows if (plot.session, plot.filename) == key}
        assert indexed in (copies, set()), "a key with some of its copies"
        answer, cache_status = ask(tree, catalog, key)
        assert answer == current_by_hand(plots, key)
        assert (cache_status is CacheStatus.MISS) == (not indexed)


SESSIONS, PROJECTS = ["s", "t"], ["project_a", "project_b", "aside"]
FILENAMES = ["a.png", "b.png", "sub/a.png", "sub/sub/a.png", "z.png", "sub/éé.png"]
Step = tuple[str, tuple[str, str, str], tuple[str, str], int]
places = st.tuples(st.sampled_from(SESSIONS), st.sampled_from(PROJECTS), st.sampled_from(FILENAMES))
projects = st.tuples(st.sampled_from(SESSIONS), st.sampled_from(PROJECTS))
steps = st.tuples(st.sampled_from(["draw", "draw", "delete", "move", "remove"]), places, projects, st.integers(0, 3))


def change(root: Path, step: Step) -> set[str]:
    """Do a step; return the scopes that events would name."""
    kind, (session, project, filename), other, _ = step
    plot, folder = root / session / project / filename, root / session / project
    with suppress(OSError):
        if kind == "draw":
            draw(root, f"{session}/{project}/{filename}")
        elif kind == "delete":
            plot.unlink()
        elif kind == "move":
            (root / other[0]).mkdir(exist_ok=True)
            shutil.rmtree(root.joinpath(*other), ignore_errors=True)
            folder.rename(root.joinpath(*other))
        else:
            shutil.rmtree(folder)
    touched = {f"{session}/{project}/{filename}"} if kind in ("draw", "delete") else {f"{session}/{project}"}
    return touched | {"/".join(other)} if kind == "move" else touched


def widened(scopes: set[str], by: int) -> set[str]:
    """The scopes, `by` levels higher, at most the root."""
    for _ in range(by):
        scopes = {scope.rpartition("/")[0] for scope in scopes}
    return scopes


def test_a_plot_beyond_a_lowered_cutoff_is_removed_once(root: Path, new_database: NewDatabase) -> None:
    tree = Tree(root, Layout(max_plots=1))
    draw(root, "t/project_a/b.png")
    with fresh_catalog(new_database, tree) as catalog:
        reconcile(tree, catalog, [""])
        draw(root, "t/project_a/a.png")
        # Not the whole session: that scan would set the cutoff, instead of lowering it.
        reconcile(tree, catalog, ["t/project_a"])
        assert [plot.filename for plot in catalog.plots("t")] == ["a.png"]
        assert list(differences(tree, catalog)) == []


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 6),
    st.integers(0, 2),
    st.integers(5, 14),
    st.integers(5, 70),
    st.lists(steps, min_size=1, max_size=12),
)
def test_for_every_tree_and_limit_the_index_answers_like_a_scan_or_not_at_all(
    new_database: NewDatabase,
    max_plots: int,
    max_depth: int,
    max_filename_bytes: int,
    max_names_bytes: int,
    changes: list[Step],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        layout = Layout(
            max_plots=max_plots,
            max_depth=max_depth,
            max_filename_bytes=max_filename_bytes,
            max_names_bytes=max_names_bytes,
        )
        tree = Tree(root, layout)
        with fresh_catalog(new_database, tree) as catalog:
            for step in changes:
                reconcile(tree, catalog, widened(change(root, step), by=step[-1]))
                assert list(differences(tree, catalog)) == []
                assert_answers_equal_a_scan(tree, catalog, plots_by_hand(root))
            reconcile(tree, catalog, [""])
            plots = plots_by_hand(root)
            rows = all_plots(catalog)
            assert rows == within_bounds(plots, tree.layout)
            shallow = {plot for plot in plots if is_short(plot.filename, tree.layout)}
            left_out = catalog.truncations(10)
            assert sum(excess.plots for excess in left_out) == len(shallow - rows)
            assert {plot.session for plot in plots - rows} <= {excess.session for excess in left_out}
            assert_answers_equal_a_scan(tree, catalog, plots)
            assert list(differences(tree, catalog)) == []


def test_changed_limits_take_effect_with_the_next_full_scan(settings: Settings, catalog: Catalog, root: Path) -> None:
    for number in range(6):
        draw(root, f"s/project_a/{number}.png")
        draw(root, f"s/project_b/{number}.png")
        draw(root, f"t/project_a/{'d/' * number}{number}.png")
    plots = plots_by_hand(root)
    for max_plots, max_depth in [(100, 32), (7, 32), (3, 2), (1, 0), (11, 5), (12, 5), (100, 3), (100, 32)]:
        tree = bounded(settings, max_plots=max_plots, max_depth=max_depth)
        reconcile(tree, catalog, [""])
        rows = all_plots(catalog)
        assert rows == within_bounds(plots, tree.layout)
        # Of a key with a copy beyond the bound none is indexed: of 12 plots, 7 allowed, three keys with two copies.
        assert len([row for row in rows if row.session == "s"]) == min(12, max_plots - max_plots % 2)
        assert list(differences(tree, catalog)) == []
        assert_answers_equal_a_scan(tree, catalog, plots)
        left_out = {excess.session: (excess.plots, bool(excess.folders)) for excess in catalog.truncations(10)}
        assert left_out.get("s", (0, False)) == (12 - min(12, max_plots - max_plots % 2), False)
        assert left_out.get("t", (0, False))[1] == (max_depth < 5)
    assert catalog.truncations(10) == []


def test_a_folder_with_too_many_plots_is_truncated_and_reported_when_moved_into_a_session(
    settings: Settings, catalog: Catalog, root: Path, tmp_path: Path
) -> None:
    """Events name the folder only, so it is the scope."""
    tree = bounded(settings, max_plots=5)
    draw(root, "s/project_a/sub/x.png")
    (root / "s/project_a/sub/x.png").unlink()
    reconcile(tree, catalog, [""])
    for number in range(8):
        draw(tmp_path, f"project_b/{number}.png")
    (tmp_path / "project_b").rename(root / "s/project_b")
    reconcile(tree, catalog, ["s/project_b"])
    assert names(all_plots(catalog)) == {f"project_b/{number}.png" for number in range(5)}
    assert list(differences(tree, catalog)) == []
    assert [excess.truncation[:2] for excess in read_status(catalog, tree.layout).excess] == [("s", "5.png")]
    assert_answers_equal_a_scan(tree, catalog, plots_by_hand(root))


def test_plots_beyond_max_plots_per_session_are_found_by_scan_and_indexed_when_there_is_room(
    root: Path,
    tmp_path: Path,
    environment: dict[str, str],
    catalog: Catalog,
    indexer: StartService,
    server: StartService,
    plotindex: RunPlotindex,
) -> None:
    environment["PLOTINDEX_MAX_PLOTS_PER_SESSION"] = "5"
    settings = load_settings({"root": str(root)}, environment)
    tree = Tree(settings.root, settings.layout)
    token = plotindex("token", "create", "--name", "t").stdout.strip()
    for number in range(7):
        draw(root, f"s/project_a/{number}.png", b"%d" % number)
    # 4.png would be the fifth and the sixth: none of it is indexed.
    draw(root, "s/project_b/4.png", b"newest")
    draw(root, "t/project_a/x.png")

    def answer(session: str, filename: str) -> tuple[bytes, str]:
        url = f"{serving.url}/api/smartstat/plots/{session}/{filename}"
        got = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        return got.content, got.headers["Cache-Status"]

    with indexer("--rescan-seconds", "1") as watching, server() as serving:
        assert names(all_plots(catalog)) == {f"project_a/{number}.png" for number in range(4)} | {"project_a/x.png"}
        assert answer("s", "3.png") == (b"3", "plotindex; hit")
        assert answer("s", "4.png") == (b"newest", "plotindex; fwd=miss")
        assert answer("s", "6.png") == (b"6", "plotindex; fwd=miss")
        assert answer("s", "7.png")[1] == "plotindex; fwd=miss"
        # Drawn while the indexer runs: one beyond the bound, one within it that crowds out another.
        draw(root, "s/project_b/9.png", b"9")
        draw(root, "s/project_b/0.png", b"0 again")
        draw(root, "s/project_b/1.png", b"1 again")
        draw(root, "t/project_a/y.png")
        first = {f"project_{place}.png" for place in ("a/0", "b/0", "a/1", "b/1", "a/2")}
        wait_until(lambda: names(all_plots(catalog)) == first | {"project_a/x.png", "project_a/y.png"})
        assert answer("s", "0.png") == (b"0 again", "plotindex; hit")
        assert answer("s", "3.png") == (b"3", "plotindex; fwd=miss")
        assert answer("s", "9.png") == (b"9", "plotindex; fwd=miss")
        wait_until(lambda: catalog.truncations(10) == [Truncation("s", "3.png", 6, 0)])
        assert "left out   6 plots of s, over max_plots_per_session\n" in read_status(catalog, tree.layout).as_text()
        status, verify = at_once(plotindex, ["status", "--json"], ["verify"])
        assert json.loads(status.stdout)["left_out"] == [
            {"session": "s", "cut": "3.png", "plots": 6, "folders": 0, "settings": ["max_plots_per_session"]}
        ]
        assert (status.returncode, verify.returncode) == (0, 0), status.stderr + verify.stdout
        for number in (0, 1, 2, 3):
            (root / f"s/project_a/{number}.png").unlink()
        (root / "s/project_b/0.png").unlink()
        within = {"project_b/1.png", "project_a/4.png", "project_b/4.png", "project_a/5.png", "project_a/6.png"}
        wait_until(lambda: names(catalog.plots("s")) == within)
        (root / "s/project_b/1.png").unlink()
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        wait_until(lambda: catalog.truncations(10) == [])
        assert answer("s", "9.png") == (b"9", "plotindex; hit")
        assert list(differences(tree, catalog)) == []
        assert "Traceback" not in watching.stderr


DEEP = """
import os, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
for _ in range(int(sys.argv[2])):
    os.mkdir("d", dir_fd=folder)
    inner = os.open("d", os.O_RDONLY, dir_fd=folder)
    os.close(os.open("x.png", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
    os.close(folder)
    folder = inner
"""
"""A program that nests folders, with a plot in each, deeper than PATH_MAX."""


def test_plots_deeper_than_max_depth_are_found_by_scan_and_affect_no_other_session(
    root: Path, catalog: Catalog, indexer: StartService, settings: Settings
) -> None:
    tree = bounded(settings)
    draw(root, "s/project_a/near.png")
    draw(root, f"s/project_a/{'d/' * 40}before.png")
    (root / "flood/project_a").mkdir(parents=True)
    try:
        with indexer() as running:
            draw(root, f"s/project_a/{'d/' * 40}drawn.png")
            draw(root, f"s/project_a/{'d/' * 32}last.png")
            wait_until(lambda: catalog.current(PlotKey("s", "d/" * 32 + "last.png")))
            for name in ("before.png", "drawn.png"):
                answer, cache_status = ask(tree, catalog, PlotKey("s", "d/" * 40 + name))
                assert (answer is not None, cache_status) == (True, CacheStatus.MISS)
                assert catalog.current(PlotKey("s", "d/" * 40 + name)) is None
            command = [sys.executable, "-c", DEEP, str(root / "flood/project_a"), "2000"]
            with subprocess.Popen(command) as flood:
                for number in range(5):
                    draw(root, f"other/project_{number}/x.png")
                wait_until(lambda: len(catalog.plots("other")) == 5)
                assert flood.wait(60) == 0
            draw(root, "other/project_a/x.png")
            wait_until(lambda: len(catalog.plots("other")) == 6)
            wait_until(lambda: len(catalog.plots("flood")) == 32)
            assert wait_for_sync(settings.barrier_folder, 20, lambda: require_indexer(catalog))
            status = read_status(catalog, tree.layout)
            assert status.trouble is None
            assert re.search("left out .* folders of s, deeper than max_depth", status.as_text())
            assert re.search("left out .* folders of flood, deeper than max_depth", status.as_text())
            assert list(differences(tree, catalog)) == []
            shutil.rmtree(root / "s/project_a/d")
            wait_until(lambda: names(catalog.plots("s")) == {"project_a/near.png"})
            assert "Traceback" not in running.stderr
        # The scan of a whole session counts again what is left out.
        reconcile(tree, catalog, ["s"])
        assert [excess.session for excess in catalog.truncations(10)] == ["flood"]
    finally:
        # shutil.rmtree cannot: its path would be too long.
        subprocess.run(["rm", "-rf", root / "flood"], check=True)


def test_truncated_plots_are_indexed_as_soon_as_there_is_room(
    settings: Settings, catalog: Catalog, root: Path, tmp_path: Path
) -> None:
    listening = Listening(bounded(settings, max_plots=5), catalog, tmp_path / "barriers")
    for number in range(8):
        draw(root, f"s/project_a/{number}.png")
    listening.start()
    try:
        assert len(all_plots(catalog)) == 5
        for number in range(3):
            (root / f"s/project_a/{number}.png").unlink()
        listening.drain()
        assert all_plots(catalog) == plots_by_hand(root)
        assert catalog.truncations(10) == []
    finally:
        listening.watcher.stop()


def draw_at_length(root: Path, project: str, name: str, length: int) -> PlotKey:
    """Draw an empty plot whose filename has `length` bytes, in folders of multi-byte names."""
    folders, room = [], length - len(name)
    while room:
        size = min(room - 1, 200)
        folders.append("é" * (size // 2) + "x" * (size % 2))
        room -= size + 1
    filename = "/".join([*folders, name])
    assert len(filename.encode()) == length
    draw(root, f"s/{project}/{filename}", b"")
    return PlotKey("s", filename)


def test_filenames_over_max_filename_bytes_are_found_by_scan_counted_and_named_and_never_indexed(
    root: Path, settings: Settings, catalog: Catalog, indexer: StartService, plotindex: RunPlotindex
) -> None:
    tree = bounded(settings)
    before, allowed = (draw_at_length(root, "project_a", "b.png", length) for length in (1025, 1024))
    with indexer() as running:
        assert {plot.filename for plot in all_plots(catalog)} == {allowed.filename}
        after = draw_at_length(root, "project_b", "a.png", 1025)
        far = draw_at_length(root, "project_b", "a.png", 3000)
        draw(root, "s/project_a/last.png")
        assert wait_for_sync(settings.barrier_folder, 20, lambda: require_indexer(catalog))
        assert {plot.filename for plot in all_plots(catalog)} == {allowed.filename, "last.png"}
        for key in (before, after, far):
            answer, cache_status = ask(tree, catalog, key)
            assert (answer is not None, cache_status) == (True, CacheStatus.MISS)
        assert len(all_plots(catalog)) == 2
        status, verify = at_once(plotindex, ["status", "--json"], ["verify"])
        assert (status.returncode, verify.returncode) == (0, 0), status.stderr + verify.stdout
        [left_out] = json.loads(status.stdout)["left_out"]
        assert left_out["folders"] >= 1
        assert "max_filename_bytes" in left_out["settings"]
        assert re.search("left out .* of s, .*max_filename_bytes", read_status(catalog, tree.layout).as_text())
        assert "Traceback" not in running.stderr
    reconcile(tree, catalog, [""])
    # One plot in a folder that may hold shorter names, and two of whose folders one is too long itself.
    assert [excess.folders for excess in catalog.truncations(10)] == [3]
    longer = Tree(settings.root, Layout(max_filename_bytes=1025))
    reconcile(longer, catalog, [""])
    assert {plot.filename for plot in all_plots(catalog)} == {
        *(key.filename for key in (before, allowed, after)),
        "last.png",
    }
    assert list(differences(longer, catalog)) == []
    reconcile(tree, catalog, [""])
    assert {plot.filename for plot in all_plots(catalog)} == {allowed.filename, "last.png"}


def test_names_over_max_names_mb_are_found_by_scan_and_indexed_when_there_is_room(
    root: Path,
    environment: dict[str, str],
    catalog: Catalog,
    indexer: StartService,
    plotindex: RunPlotindex,
) -> None:
    environment["PLOTINDEX_MAX_NAMES_MB"] = "1"
    settings = load_settings({"root": str(root)}, environment)
    tree = Tree(settings.root, settings.layout)
    folder = "/".join(["d" * 197] * 5)
    filenames = [f"{folder}/{number:06}.png" for number in range(1100)]
    assert {len(name) for name in filenames} == {1000}
    for name in filenames[:1040]:
        draw(root, f"s/project_a/{name}", b"")
    draw(root, "t/project_a/x.png")

    def indexed() -> set[str]:
        return {plot.filename for plot in catalog.plots("s")}

    with indexer() as running:
        assert indexed() == set(filenames[:1040])
        for name in filenames[1040:]:
            draw(root, f"s/project_a/{name}", b"")
        # 1,048 names of 1,000 bytes are within 1 MiB.
        wait_until(lambda: [truncation.cut for truncation in catalog.truncations(10)] == [filenames[1048]])
        # How many are left out is counted by a scan of the whole session.
        assert plotindex("rebuild").returncode == 0
        assert catalog.truncations(10) == [Truncation("s", filenames[1048], 52, 0)]
        assert indexed() == set(filenames[:1048])
        answer, cache_status = ask(tree, catalog, PlotKey("s", filenames[1048]))
        assert (answer is not None, cache_status) == (True, CacheStatus.MISS)
        draw(root, "s/project_a/0.png")
        draw(root, "t/project_a/y.png")
        wait_until(lambda: len(catalog.plots("t")) == 2)
        wait_until(lambda: "0.png" in indexed())
        # 576 bytes are left.
        assert indexed() == {"0.png", *filenames[:1048]}
        draw(root, f"s/project_a/{folder}/000000-.png", b"")
        wait_until(lambda: f"{folder}/000000-.png" in indexed())
        assert indexed() == {"0.png", f"{folder}/000000-.png", *filenames[:1047]}
        assert plotindex("rebuild").returncode == 0
        assert "left out   53 plots of s, over max_names_mb\n" in read_status(catalog, tree.layout).as_text()
        status, verify = at_once(plotindex, ["status", "--json"], ["verify"])
        assert json.loads(status.stdout)["left_out"][0]["settings"] == ["max_names_mb"]
        assert (status.returncode, verify.returncode) == (0, 0), status.stderr + verify.stdout
        # Seen as one change: a session is rescanned for more room once a minute.
        with suspended(running.pid):
            for name in filenames[:60]:
                (root / f"s/project_a/{name}").unlink()
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        wait_until(lambda: catalog.truncations(10) == [])
        assert list(differences(tree, catalog)) == []
        assert "Traceback" not in running.stderr
