"""Output and exit codes of the commands."""

import json
import os
import re
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from plotindex.config.settings import Settings
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.tree.tree import Tree
from tests.support.hostile_requests import UNSAFE
from tests.support.processes import PNG, RunPlotindex, StartService, all_plots, at_once, draw, free_port, run_plotindex

HOSTILE_REQUESTS = "s\x1b[31m/project_\u202ea/\u2066new\nline\x07.png"


def test_rebuild_prints_a_summary_on_stdout(plotindex: RunPlotindex, root: Path) -> None:
    draw(root, "a/project_1/x.png")
    draw(root, "a/project_2/x.png")
    stays = draw(root, "b/project_1/sub/y.svg")
    first = plotindex("rebuild")
    assert re.fullmatch(r"2 sessions, 3 plots, 3 added, 0 changed, 0 removed in \d+\.\d seconds\n", first.stdout), (
        first.stdout
    )
    assert (first.returncode, first.stderr) == (0, "")
    shutil.rmtree(root / "a/project_2")
    stays.write_bytes(PNG * 2)
    draw(root, "c/project_1/z.gif")
    report = json.loads(plotindex("rebuild", "--json").stdout)
    assert report.pop("seconds") >= 0
    assert report == {"sessions": 3, "plots": 3, "added": 1, "changed": 1, "removed": 1, "named": {}}


def test_rebuild_from_scratch_rewrites_every_row(
    plotindex: RunPlotindex, root: Path, tree: Tree, catalog: Catalog
) -> None:
    draw(root, "a/project_1/x.png")
    draw(root, "b/project_1/y.png")
    reconcile(tree, catalog, [""])
    rows = "SELECT session, clock FROM plot ORDER BY session"
    states = []
    for options in ([], ["--from-scratch"]):
        with catalog.database.reading() as connection:
            states.append(list(connection.driver.execute(rows)))
        assert plotindex("rebuild", *options).returncode == 0
    with catalog.database.reading() as connection:
        rewritten = list(connection.driver.execute(rows))
    first, again = states
    assert first == again
    assert all(after > before for (_, before), (_, after) in zip(first, rewritten, strict=True))
    header = catalog.header()
    assert header.trimmed == header.clock, "a cursor from before would miss rewritten rows"


def test_an_empty_root_is_accepted_only_with_allow_empty(
    plotindex: RunPlotindex, root: Path, tree: Tree, catalog: Catalog
) -> None:
    draw(root, "a/project_1/x.png")
    reconcile(tree, catalog, [""])
    before = all_plots(catalog)
    root.rename(root.with_name("elsewhere"))
    for lost in ("gone", "empty"):
        if lost == "empty":
            root.mkdir()
        for done in at_once(plotindex, ["rebuild"], ["rebuild", "--from-scratch"]):
            assert (done.returncode, done.stdout) == (1, ""), lost
            assert "nothing was written" in done.stderr, lost
        assert all_plots(catalog) == before, lost
    done = plotindex("rebuild", "--allow-empty", "--json")
    assert (done.returncode, json.loads(done.stdout)["removed"]) == (0, 1)
    assert not all_plots(catalog)


def test_a_catalogue_moves_with_its_root_when_adopted(
    root: Path, environment: dict[str, str], tmp_path: Path, settings: Settings
) -> None:
    draw(root, "a/project_1/x.png")
    options = ["--database", f"sqlite:///{tmp_path}/moves.db", "--root"]
    assert run_plotindex(["rebuild", *options, root], environment, tmp_path).returncode == 0
    moved = root.rename(tmp_path / "moved")
    refused = run_plotindex(["rebuild", *options, moved], environment, tmp_path)
    assert refused.returncode == 2
    assert str(root) in refused.stderr
    assert "--adopt" in refused.stderr
    adopted = run_plotindex(["rebuild", "--adopt", "--json", *options, moved], environment, tmp_path)
    assert adopted.returncode == 0
    assert json.loads(adopted.stdout)["added"] == 0
    assert run_plotindex(["verify", *options, moved], environment, tmp_path).returncode == 0


def test_verify_lists_each_difference_and_changes_nothing(
    plotindex: RunPlotindex, root: Path, tree: Tree, catalog: Catalog
) -> None:
    draw(root, "a/project_1/gone.png")
    draw(root, "a/project_1/grown.png")
    draw(root, "a/project_1/same.png")
    reconcile(tree, catalog, [""])
    catalog.database.close()
    before = everything(catalog.database.path)
    same = plotindex("verify", "--json")
    assert (same.returncode, same.stdout, same.stderr) == (0, "[]\n", "")
    (root / "a/project_1/gone.png").unlink()
    draw(root, "a/project_1/grown.png", PNG * 2, mtime_ns=1)
    draw(root, "b/project_1/new.png")
    differs, as_json = at_once(plotindex, ["verify"], ["verify", "--json"])
    assert differs.returncode == 1
    lines = differs.stdout.splitlines()
    assert lines[0] == "a/project_1/gone.png: is in the catalogue, but not in the tree"
    assert re.fullmatch(r"a/project_1/grown\.png: differs in size, mtime_ns, ctime_ns", lines[1]), lines[1]
    assert lines[2:] == ["b/project_1/new.png: is not in the catalogue"]
    assert "3 differences" in differs.stderr
    assert "plotindex rebuild" in differs.stderr
    assert [entry["path"] for entry in json.loads(as_json.stdout)] == [line.partition(":")[0] for line in lines]
    assert everything(catalog.database.path) == before


def everything(database: Path) -> tuple[bytes, list[str]]:
    """The bytes of the database file, and all rows, including those in the WAL."""
    with closing(sqlite3.connect(database)) as connection:
        return database.read_bytes(), list(connection.iterdump())


def test_find_takes_text_and_globs_and_lists_the_current_copy_first(
    plotindex: RunPlotindex, root: Path, tree: Tree, catalog: Catalog
) -> None:
    now = time.time_ns()
    draw(root, "alpha/project_1/sub/Correlation.png", mtime_ns=now)
    draw(root, "alpha/project_2/sub/Correlation.png", mtime_ns=now - 10**9)
    draw(root, "beta/project_1/correlation.svg")
    draw(root, "beta/project_1/100%_done.png")
    reconcile(tree, catalog, [""])
    alpha = ["alpha/project_1/sub/Correlation.png", "alpha/project_2/sub/Correlation.png"]
    beta = ["beta/project_1/correlation.svg"]
    expected = {
        ("CORREL",): alpha + beta,
        ("0%_",): ["beta/project_1/100%_done.png"],
        ("*/project_2/*.png",): alpha[1:],
        ("correl", "--session", "beta"): beta,
    }
    *found, as_json = at_once(plotindex, *(["find", *text] for text in expected), ["find", "sub/Corr*", "--json"])
    assert [done.stdout.splitlines() for done in found] == list(expected.values())
    listed = json.loads(as_json.stdout)
    copies = sorted(catalog.plots("alpha"), key=lambda plot: plot.project)
    assert listed == [
        {**plot._asdict(), "version": plot.version, "path": plot.path, "current": plot.path == alpha[0]}
        for plot in copies
    ]


def test_find_without_a_match_exits_1(plotindex: RunPlotindex, root: Path, tree: Tree, catalog: Catalog) -> None:
    draw(root, "alpha/project_1/a.png")
    reconcile(tree, catalog, [""])
    *found, as_json = at_once(
        plotindex, ["find", "no\x1b[31mwhere"], ["find", b"no\xffwhere"], ["find", "nowhere", "--json"]
    )
    for done, shown in zip(found, (r"no\x1b[31mwhere", r"no\udcffwhere"), strict=True):
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"plotindex: No plot in the catalogue matches {shown}.\n"
    assert (as_json.returncode, as_json.stdout) == (1, "[]\n")


def test_status_exits_1_if_the_indexer_has_a_problem(
    plotindex: RunPlotindex, root: Path, tree: Tree, catalog: Catalog, indexer: StartService
) -> None:
    draw(root, "alpha/project_1/a.png")
    reconcile(tree, catalog, [""])
    without = plotindex("status")
    assert without.returncode == 1
    assert "1 plots in 1 sessions" in without.stdout
    assert "plotindex watch" in without.stderr
    with indexer() as running:
        unserved = f"127.0.0.1:{free_port()}"
        port = {"PLOTINDEX_PORT": unserved.partition(":")[2]}
        as_json, plain = plotindex("status", "--json", env=port), plotindex("status", env=port)
        assert (as_json.returncode, as_json.stderr) == (0, "")
        status = json.loads(as_json.stdout)
        assert (status["well"], status["trouble"], status["plots"], status["sessions"]) == (True, None, 1, 1)
        assert status["root"] == str(root)
        assert status["indexer"]["pid"] == running.pid
        assert (plain.returncode, plain.stderr) == (0, "")
        assert f"process {running.pid} " in plain.stdout
        # No server runs, which is not a problem.
        assert status["server"] == {"address": unserved, "answers": False}
        assert f"server     no answer at {unserved}\n" in plain.stdout


def test_names_are_escaped_in_text_but_not_in_json(plotindex: RunPlotindex, root: Path, catalog: Catalog) -> None:
    draw(root, HOSTILE_REQUESTS)
    differs = plotindex("verify")
    odd = os.fsencode(root) + b"/s\x1b[31m/project_\xe2\x80\xaea/\xff\x1b.png"
    Path(os.fsdecode(odd)).write_bytes(PNG)
    rebuilt = plotindex("rebuild")
    found, found_json, rebuilt_json = at_once(
        plotindex, ["find", "new"], ["find", "new", "--json"], ["rebuild", "--json"]
    )
    escaped = r"s\x1b[31m/project_\u202ea/\u2066new\nline\x07.png"
    assert found.stdout == escaped + "\n"
    assert differs.stdout == f"{escaped}: is not in the catalogue\n"
    assert rebuilt.stderr == "s\\x1b[31m/project_\\u202ea/\\udcff\\x1b.png: its name is not UTF-8\n"
    for done in (found, differs, rebuilt):
        assert not UNSAFE.search(done.stdout + done.stderr)
    assert json.loads(found_json.stdout)[0]["path"] == HOSTILE_REQUESTS
    assert "s\x1b[31m/project_\u202ea/\udcff\x1b.png" in json.loads(rebuilt_json.stdout)["named"]


def test_options_override_the_environment_and_that_the_file(
    plotindex: RunPlotindex, settings: Settings, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/by-"
    (tmp_path / "plotindex.toml").write_text(f'database = "{url}file.db"\n')
    by_environment = {"PLOTINDEX_DATABASE_URL": f"{url}environment.db"}

    option = {"args": ["--database", f"{url}option.db"], "env": by_environment}
    given: list[dict[str, Any]] = [option, {"args": [], "env": by_environment}, {"args": [], "env": {}}]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda one: plotindex("migrate", *one["args"], env=one["env"]).returncode, given))
    assert done == [0, 0, 0]
    # Each of the three creates one of these; otherwise the precedence was wrong.
    assert {file.name for file in tmp_path.glob("by-*.db")} == {"by-option.db", "by-environment.db", "by-file.db"}
    assert not settings.state_folder.exists()
    (tmp_path / "plotindex.toml").unlink()
    assert plotindex("migrate").returncode == 0
    assert (settings.state_folder / "catalog.db").exists()
