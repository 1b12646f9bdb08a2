"""Plots directly in a session, by the pattern `.`: everything works as for plots in projects."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from plotindex.config.settings import Settings
from plotindex.index.factory import make_tree
from plotindex.storage.catalog import Catalog
from plotindex.tree import Layout, PlotKey, Tree, describe_misplaced
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.churn import SESSIONS
from tests.support.images import encoded, halves
from tests.support.processes import PNG, RunPlotindex, StartService, all_plots, draw, wait_until
from tests.support.site import PREFIX
from tests.tools.torture import watched_inodes

PATTERNS = [".", "project_* ."]


@pytest.fixture(params=PATTERNS)
def pattern(request: pytest.FixtureRequest, environment: dict[str, str]) -> str:
    """The pattern of this test's commands."""
    environment["PLOTINDEX_PROJECT_PATTERN"] = request.param
    return str(request.param)


@pytest.fixture
def check(root: Path, plotindex: RunPlotindex) -> Callable[[set[str]], None]:
    """Check that catalogue and tree have exactly these plots."""

    def check(paths: set[str]) -> None:
        assert plotindex("sync").returncode == 0
        found = json.loads(plotindex("find", "--before", "2200-01-01", "--json").stdout)
        assert {plot["path"] for plot in found} == paths
        verified = plotindex("verify")
        assert verified.returncode == 0, verified.stdout

    return check


def test_a_session_has_plots_beside_its_projects(
    pattern: str, root: Path, indexer: StartService, plotindex: RunPlotindex, check: Callable[[set[str]], None]
) -> None:
    draw(root, "s/x.png")
    draw(root, "s/figs/y.png")
    draw(root, "s/project_a/z.png")
    (root / "s/link.png").symlink_to(root / "s/x.png")
    with indexer():
        check({"s/x.png", "s/figs/y.png", "s/project_a/z.png"})
        projects = {plot["path"]: plot["project"] for plot in json.loads(plotindex("find", "s/", "--json").stdout)}
        assert projects["s/x.png"] == projects["s/figs/y.png"] == "."
        assert projects["s/project_a/z.png"] == ("." if pattern == "." else "project_a")
        assert plotindex("find", "s/figs/y").stdout == plotindex("find", "s/f*y.png").stdout == "s/figs/y.png\n"
        of_session = plotindex("find", "--project", ".").stdout.splitlines()
        assert of_session == ["s/figs/y.png", *(["s/project_a/z.png"] if pattern == "." else []), "s/x.png"]
        assert plotindex("wait", "s", "figs/y.png").stdout == "s/figs/y.png\n"
        assert "3 plots in 1 session" in plotindex("status").stdout
        doctor = plotindex("doctor").stdout
        assert "The catalogue has 3 plots" in doctor
        assert "s/link.png" in doctor

        (root / "s/figs/project_b").mkdir()
        draw(root, "s/figs/project_b/deep.png")
        (root / "s/x.png").unlink()
        draw(root, "s/w.svg")
        draw(root, "new/first.png")
        drawn = {"s/figs/y.png", "s/project_a/z.png", "s/figs/project_b/deep.png", "s/w.svg", "new/first.png"}
        check(drawn)
        # A plot of the session whose name matches the pattern of the projects; and then a folder of that name.
        draw(root, "s/project_c.png")
        check({*drawn, "s/project_c.png"})
        (root / "s/project_c.png").unlink()
        draw(root, "s/project_c.png/inside.png")
        check({*drawn, "s/project_c.png/inside.png"})


def test_a_folder_may_become_a_project_and_a_part_of_the_session_again(
    pattern: str, root: Path, indexer: StartService, settings: Settings, catalog: Catalog, plotindex: RunPlotindex
) -> None:
    draw(root, "s/sub/deep/x.png")
    with indexer() as running:
        folders = {folder.stat().st_ino for folder in (root, root / "s", root / "s/sub", root / "s/sub/deep")}
        for name in ("project_sub", "sub", "project_sub", "sub"):
            (root / "s").joinpath("sub" if name == "project_sub" else "project_sub").rename(root / "s" / name)
            draw(root, f"s/{name}/deep/{name}.png")
            assert plotindex("sync").returncode == 0
            assert all_plots(catalog) == plots_by_hand(root, pattern)
            assert watched_inodes(running.pid) - {settings.barrier_folder.stat().st_ino} == folders
        assert plotindex("verify").returncode == 0


def test_the_index_answers_as_a_scan_after_any_changes(
    pattern: str, root: Path, indexer: StartService, catalog: Catalog, plotindex: RunPlotindex
) -> None:
    chance = random.Random(7)
    with indexer() as running:
        command = [sys.executable, "-m", "tests.support.churn", str(root), "3", "3"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as churn:
            while churn.poll() is None:
                plot = root / chance.choice(SESSIONS) / chance.choice(["0.png", "project_a.png", "1.svg"])
                try:
                    plot.unlink() if plot.exists() and chance.random() < 0.5 else plot.write_bytes(PNG)
                except OSError:
                    continue
        assert plotindex("sync").returncode == 0
        expected = plots_by_hand(root, pattern)
        assert any("/" not in plot.filename for plot in expected if plot.project == ".")
        assert all_plots(catalog) == expected
        assert plotindex("verify").returncode == 0
        assert "missed by the watcher" not in running.stderr


def test_polling_finds_plots_in_a_session(pattern: str, root: Path, indexer: StartService, catalog: Catalog) -> None:
    draw(root, "s/x.png")
    with indexer("--max-watches", "1"):
        draw(root, "s/y.png")
        draw(root, "s/sub/z.png")
        draw(root, "s/project_a/z.png")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root, pattern))
        draw(root, "s/y.png", PNG * 2)
        (root / "s/sub").rename(root / "s/project_sub")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root, pattern), 60)


def test_http_answers_with_plots_of_the_session(
    pattern: str, root: Path, server: StartService, plotindex: RunPlotindex
) -> None:
    picture = encoded(halves())
    draw(root, "s/x.png", b"of the session", mtime_ns=10)
    draw(root, "s/project_a/x.png", b"of a", mtime_ns=20)
    draw(root, "s/figs/y.png", picture)
    token = plotindex("token", "create", "--name", "all").stdout.strip()
    plotindex("rebuild")
    newest = b"of the session" if pattern == "." else b"of a"
    with server() as running:

        def get(path: str) -> tuple[int, str | None, bytes]:
            given = {"Authorization": f"Bearer {token}"}
            answer = requests.get(f"{running.url}{PREFIX}{path}", headers=given, timeout=20)
            return answer.status_code, answer.headers.get("Cache-Status"), answer.content

        hit, miss = "plotindex; hit; detail=unwatched", "plotindex; fwd=miss"
        assert get("/s/x.png") == (200, hit, newest)
        assert get("/s/x.png?project=.") == (200, hit, b"of the session")
        assert get("/s/figs/y.png?project=.") == get("/s/figs/y.png") == (200, hit, picture)
        assert get("/s/figs/y.png?width=160")[2][:4] == b"RIFF"
        for project in ("figs", "..", "", "./figs"):
            assert get(f"/s/y.png?project={project}")[0] == 404
        inside = get("/s/project_a/x.png")
        assert inside[0] == (200 if pattern == "." else 404)
        assert get("/s/project_a/x.png?project=.")[0] == inside[0]
        draw(root, "s/new.png", b"new")
        draw(root, "s/figs/newer.png", b"newer")
        assert get("/s/new.png?project=.") == (200, miss, b"new")
        assert get("/s/figs/newer.png") == (200, miss, b"newer")
        assert get("/s/new.png") == (200, hit, b"new")
        assert get("/s/figs/newer.png?project=.") == (200, hit, b"newer")
        (root / "s/new.png").unlink()
        assert get("/s/new.png")[:2] == (404, "plotindex; fwd=stale")
        assert get("/s/new.png?project=.")[:2] == (404, miss)
        entries = json.loads(get("/s")[2])["plots"]
        assert {entry["project"] for entry in entries} == {".", *([] if pattern == "." else ["project_a"])}
        urls = [copy["url"] for entry in entries for copy in entry["copies"]]
        assert all("/./" not in url for url in urls)
        assert plotindex("verify").returncode == 0
    with server("--x-accel-prefix", "/internal") as running:
        given = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{running.url}{PREFIX}/s/figs/y.png?project=.", headers=given, timeout=20)
        assert answer.headers["X-Accel-Redirect"] == "/internal/s/figs/y.png"


def test_without_the_pattern_the_session_is_not_a_project(
    root: Path, server: StartService, plotindex: RunPlotindex
) -> None:
    draw(root, "s/x.png")
    draw(root, "s/project_a/y.png")
    token = plotindex("token", "create", "--name", "all").stdout.strip()
    plotindex("rebuild")
    with server() as running:
        for path in ("s/x.png", "s/x.png?project=.", "s/y.png?project=.", "s/project_a/y.png?project=."):
            given = {"Authorization": f"Bearer {token}"}
            answer = requests.get(f"{running.url}{PREFIX}/{path}", headers=given, timeout=20)
            assert answer.status_code == 404, path


def test_the_gallery_names_and_links_plots_of_the_session(
    pattern: str, root: Path, server: StartService, plotindex: RunPlotindex
) -> None:
    draw(root, "s/x.png", b"of the session", mtime_ns=20)
    draw(root, "s/project_a/x.png", b"of a", mtime_ns=10)
    draw(root, "s/figs/y.png")
    plotindex("token", "create", "--name", "all")
    plotindex("rebuild")
    with server() as running, requests.Session() as browser:
        code = plotindex("token", "link", "all").stdout.split()[-1].partition("code=")[2]
        browser.post(f"{running.url}/login?code={code}", headers={"Sec-Fetch-Site": "same-origin"}, timeout=10)

        def page(path: str) -> str:
            answer = browser.get(f"{running.url}{path}", timeout=10)
            assert answer.status_code == 200, path
            assert "/./" not in answer.text
            return answer.text

        session = page("/session/s")
        assert session.count('<bdi class="project">session folder</bdi>') == (3 if pattern == "." else 2)
        assert 'data-project="."' in session and 'value="s/x.png"' in session
        assert "session folder" in page("/plot/s/x.png?project=.")
        assert browser.get(f"{running.url}/plot/s/y.png?project=.", timeout=10).status_code == 404
        compared = page("/compare?plot=s/x.png&plot=s/figs/y.png&plot=s/project_a/x.png")
        for path in ("s/x.png", "s/figs/y.png", "s/project_a/x.png"):
            assert f'data-path="{path}"' in compared
        if pattern != ".":
            assert "<bdi>session folder</bdi>" in page("/compare?session=s&name=x.png")
            assert "<bdi>session folder</bdi>" in page("/plot/s/x.png")
        (root / "empty").mkdir()
        assert "reads ROOT/&lt;session&gt;/ and every folder in it" in page("/session/empty")


def test_another_pattern_moves_plots_between_projects(
    root: Path, plotindex: RunPlotindex, catalog: Catalog, environment: dict[str, str]
) -> None:
    for path in ("s/x.png", "s/sub/x.png", "s/project_a/x.png", "s/project_a/sub/x.png"):
        draw(root, path)
    for pattern in ("project_*", ".", "project_* .", ".", "project_*"):
        environment["PLOTINDEX_PROJECT_PATTERN"] = pattern
        assert plotindex("rebuild", "--allow-removals").returncode == 0
        assert all_plots(catalog) == plots_by_hand(root, pattern)
        assert plotindex("verify").returncode == 0


def test_rows_of_another_pattern_answer_no_lookup(root: Path, settings: Settings) -> None:
    draw(root, "s/project_a/x.png")
    tree, narrow = Tree(root, Layout(".")), Tree(root, Layout("project_* ."))
    key = PlotKey("s", "project_a/x.png")
    assert tree.stat_plot("s", ".", key.filename) is not None
    assert narrow.open(key, ".") is None
    assert narrow.stat_plot("s", ".", key.filename) is None
    assert narrow.find(key) == []
    assert make_tree(settings).stat_plot("s", ".", "x.png") is None


def test_a_session_as_the_root_of_such_a_tree_is_noticed(root: Path) -> None:
    draw(root, "s/x.png")
    assert describe_misplaced(Tree(root, Layout("."))) == ""
    assert describe_misplaced(Tree(root / "s", Layout("."))) == (
        "The root is a session itself, with images in it; set the root to the folder above it."
    )
