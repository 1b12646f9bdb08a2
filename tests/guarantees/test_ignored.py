"""Ignored names: walk, events, scan and request leave out the same ones, and somebody is told how many."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.index import open_catalog
from plotindex.ops.health import grammar_trouble
from plotindex.storage.catalog import Catalog
from plotindex.tree.plots import PlotKey
from plotindex.tree.tree import Tree
from tests.index.test_removals import downgrade
from tests.support.processes import Index, RunPlotindex, StartService, all_plots, draw, free_port, wait_until

IGNORED = [
    ".git/project_a/x.png",
    "@eaDir/project_a/x.png",
    "s/project_a/.git/x.png",
    "s/project_a/.ipynb_checkpoints/x-checkpoint.png",
    "s/project_a/@eaDir/x.png",
    "s/project_a/__MACOSX/._x.png",
    "s/project_a/._x.png",
    "s/project_a/.~tmp~/x.png",
    "s/project_a/.x.AbC123.png",
    "s/project_a/sub/.stversions/deep/x.png",
    "s/project_a/lost+found/x.png",
]
PLOTS = ["s/project_a/..x.png", "s/project_a/x.png", "s/project_a/sub/eaDir.png", "s/project_a/a.b/x.png"]


@pytest.fixture
def headers(settings: Settings) -> dict[str, str]:
    settings.make_state_folder()
    return {"Authorization": f"Bearer {Tokens.from_settings(settings).create('test')}"}


def status_of(url: str, path: str, headers: dict[str, str]) -> int:
    session, _, filename = path.split("/", 2)
    address = f"{url}/api/smartstat/plots/{quote(session)}/{quote(filename)}"
    return requests.get(address, headers=headers, timeout=10).status_code


def draw_all(root: Path) -> None:
    for path in (*IGNORED, *PLOTS):
        draw(root, path)


@pytest.mark.parametrize("path", IGNORED)
def test_walk_scan_and_index_leave_out_an_ignored_name(
    root: Path, tree: Tree, catalog: Catalog, index: Index, path: str
) -> None:
    for each in (path, *PLOTS):
        draw(root, each)
    report = index()
    assert sorted(plot.path for plot in all_plots(catalog)) == sorted(PLOTS)
    assert report.ignored == 1
    session, project, filename = path.split("/", 2)
    assert tree.find(PlotKey(session, filename)) == []
    assert tree.open(PlotKey("s", "x.png"), project) is not None
    with tree.open_reader() as reader:
        assert reader.stat_plot(session, project, filename) is None
    assert not tree.has_session(".git")


def test_events_and_requests_leave_out_ignored_names_and_status_and_doctor_count_them(
    root: Path,
    indexer: StartService,
    server: StartService,
    plotindex: RunPlotindex,
    catalog: Catalog,
    headers: dict[str, str],
) -> None:
    draw(root, "s/project_a/before.png")
    with indexer(), server() as serving:
        draw_all(root)
        plotindex("sync")
        assert sorted(plot.path for plot in all_plots(catalog)) == sorted([*PLOTS, "s/project_a/before.png"])
        assert [status_of(serving.url, path, headers) for path in PLOTS] == [200] * len(PLOTS)
        assert [status_of(serving.url, path, headers) for path in IGNORED] == [404] * len(IGNORED)
        assert plotindex("verify").returncode == 0
        (root / "s/project_a/.x.AbC123.png").rename(root / "s/project_a/done.png")
        (root / "s/project_a/sub").rename(root / "s/project_a/.sub")
        plotindex("sync")
        names = {plot.filename for plot in all_plots(catalog)}
        assert names == {"..x.png", "x.png", "a.b/x.png", "before.png", "done.png"}
        assert status_of(serving.url, "s/project_a/.sub/eaDir.png", headers) == 404
    with indexer():
        status = plotindex("status")
        assert "ignored    10 folders or plots, by the setting ignore" in status.stdout
        assert json.loads(plotindex("status", "--json").stdout)["indexer"]["ignored"] == 10
        assert "The setting ignore leaves out 10 folders or plots, such as " in plotindex("doctor").stdout


def test_an_indexer_adopts_the_default_for_a_catalogue_of_an_older_version(
    root: Path, indexer: StartService, plotindex: RunPlotindex
) -> None:
    draw_all(root)
    assert "15 plots" in plotindex("rebuild", env={"PLOTINDEX_IGNORE": "/"}).stdout
    downgrade(root)
    with indexer():
        status = plotindex("status")
        assert (status.returncode, "indexed    4 plots in 1 sessions" in status.stdout) == (0, True), status
        assert plotindex("verify").returncode == 0


def test_an_indexer_adopts_formats_that_an_older_version_did_not_have(
    root: Path, settings: Settings, indexer: StartService, plotindex: RunPlotindex
) -> None:
    for name in ("x.png", "x.pdf", "x.AVIF", "x.tif", "x.tiff"):
        draw(root, f"s/project_a/{name}")
    older = {"PLOTINDEX_SUFFIXES": ".png .jpg .jpeg .svg .gif .webp"}
    assert "1 plots" in plotindex("rebuild", env=older).stdout
    trouble = grammar_trouble(open_catalog(settings).header(), settings.layout)
    assert trouble == "The catalogue is of a version without AVIF, PDF and TIFF: restart the indexer."
    with indexer():
        status = plotindex("status")
        assert (status.returncode, "indexed    5 plots in 1 sessions" in status.stdout) == (0, True), status
        assert plotindex("verify").returncode == 0


def test_an_empty_list_indexes_and_serves_every_name(
    root: Path, service: StartService, plotindex: RunPlotindex, headers: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "plotindex.toml").write_text("ignore = []\n")
    for number in range(60):
        # So many that a second process walks them.
        draw(root, f"many_{number}/project_a/.x.png")
    draw_all(root)
    port = free_port()
    with service("run", "--port", str(port)) as running:
        running.wait_for(lambda: "curl" in running.stdout)
        wait_until(lambda: "75 plots in 63 sessions" in plotindex("status").stdout)
        draw(root, "s/project_a/.late/.x.png")
        plotindex("sync")
        for path in (*IGNORED, *PLOTS, "many_59/project_a/.x.png", "s/project_a/.late/.x.png"):
            assert status_of(f"http://127.0.0.1:{port}", path, headers) == 200, path
        assert "ignored  " not in plotindex("status").stdout
        assert plotindex("verify").returncode == 0
