"""A tree of another shape: what is found instead of plots is said wherever somebody looks for them."""

import json
from pathlib import Path

import pytest
import requests

from plotindex.tree import Layout, Tree, describe_misplaced
from tests.support.processes import RunPlotindex, StartService, draw, wait_until

FOUND = "31 images in 2 sessions, none below a folder that matches project_*; set project_pattern."


@pytest.fixture
def runs(root: Path) -> Path:
    """A root whose projects have other names."""
    for number in range(30):
        draw(root, f"s{number % 2}/run_{number}/figs/x.png")
    draw(root, "s0/notes.txt")
    draw(root, "s0/cover.JPG")
    return root


def test_status_doctor_and_the_log_count_images_outside_of_projects(
    runs: Path, indexer: StartService, plotindex: RunPlotindex
) -> None:
    with indexer() as running:
        wait_until(lambda: FOUND in running.stderr)
        status = plotindex("status")
        assert (status.returncode, status.stderr.strip()) == (1, f"plotindex: {FOUND}")
        assert json.loads(plotindex("status", "--json").stdout)["trouble"] == FOUND
        doctor = plotindex("doctor").stdout
        assert "plots" in doctor and FOUND.partition(";")[0] in doctor and "set project_pattern" in doctor
        draw(runs, "s0/project_a/x.png")
        plotindex("sync")
        assert plotindex("status").returncode == 0
        assert FOUND.partition(";")[0] not in plotindex("doctor").stdout


def test_the_gallery_tells_only_callers_who_may_see_all_of_it(
    runs: Path, indexer: StartService, server: StartService, plotindex: RunPlotindex
) -> None:
    def page(token: str, path: str) -> str:
        link = plotindex("token", "link", token).stdout.split()[-1]
        with requests.Session() as browser:
            code = link.partition("code=")[2]
            browser.post(f"{serving.url}/login?code={code}", headers={"Sec-Fetch-Site": "same-origin"}, timeout=10)
            return browser.get(f"{serving.url}{path}", timeout=10).text

    plotindex("token", "create", "--name", "all")
    plotindex("token", "create", "--name", "one", "--session", "s1")
    with indexer() as running, server() as serving:
        wait_until(lambda: FOUND in running.stderr)
        assert FOUND in page("all", "/")
        assert "images in" not in page("one", "/")
        seen = page("one", "/session/s1")
        assert "15 images, none below a folder that matches project_*; set project_pattern." in seen


def test_a_session_given_as_the_root_is_noticed(root: Path) -> None:
    draw(root, "session/project_a/x.png")
    assert describe_misplaced(Tree(root / "session", Layout())) == (
        "The root is a session itself, with folders that match project_*; set the root to the folder above it."
    )


def test_nothing_is_said_of_a_tree_without_images(root: Path) -> None:
    draw(root, "s/run_1/notes.txt")
    draw(root, "s/project_a/x.png")
    assert describe_misplaced(Tree(root, Layout())) == ""
    assert describe_misplaced(Tree(root / "missing", Layout())) == ""


def test_every_command_takes_the_pattern_of_another_tree(
    runs: Path, indexer: StartService, server: StartService, plotindex: RunPlotindex
) -> None:
    draw(runs, "s0/fig_1/y.png")
    pattern = ("--project-pattern", "run_*, fig_?")
    plotindex("token", "create", "--name", "all", *pattern)
    with indexer(*pattern), server(*pattern):
        plotindex("sync", *pattern)
        assert "31 plots in 2 sessions" in plotindex("status", *pattern).stdout
        for command in ("verify", "find x.png", "wait s0 y.png", "rebuild", "doctor"):
            done = plotindex(*command.split(), *pattern)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        refused = plotindex("rebuild")
        assert refused.returncode == 2
        assert "The catalogue uses project_pattern 'run_* fig_?'" in plotindex("status").stderr
