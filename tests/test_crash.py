"""kill -9 at any moment: the database always opens, and the next start ends equal to the tree."""

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from plotindex.catalog import Catalog
from plotindex.tree import Tree
from plotindex.verify import differences
from tests.helpers import RunPlotindex, StartService, all_plots, draw, wait_until
from tests.test_convergence import plots_by_hand


def assert_sound(catalog: Catalog) -> None:
    with sqlite3.connect(catalog.database.path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tallies = dict(connection.execute("SELECT session, plots FROM session").fetchall())
        assert tallies == dict(connection.execute("SELECT session, count(*) FROM plot GROUP BY session").fetchall())
    connection.close()


def test_a_rebuild_killed_at_any_moment_leaves_a_sound_catalogue(
    root: Path, tree: Tree, catalog: Catalog, plotindex: RunPlotindex, environment: dict[str, str]
) -> None:
    chance = random.Random(7)
    for number in range(6000):
        draw(root, f"s{number % 5}/project_{number % 7}/{number}.png")
    command = [sys.executable, "-m", "plotindex", "rebuild", "--root", str(root)]
    for attempt in range(12):
        draw(root, f"s{attempt}/project_a/new.png")
        extra = ["--from-scratch"] if attempt % 3 == 2 else []
        with subprocess.Popen([*command, *extra], env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                process.wait(0.4 + chance.random() * 0.8)
            except subprocess.TimeoutExpired:
                process.kill()
        assert_sound(catalog)
    done = plotindex("rebuild")
    assert done.returncode == 0, done.stderr
    assert all_plots(catalog) == plots_by_hand(root)
    assert_sound(catalog)
    assert not list(differences(tree, catalog))


def test_an_indexer_killed_at_any_moment_starts_again_equal_to_the_tree(
    root: Path, catalog: Catalog, service: StartService, plotindex: RunPlotindex
) -> None:
    chance = random.Random(8)
    draw(root, "kept/project_a/x.png")
    churn = subprocess.Popen([sys.executable, "-m", "tests.churn", str(root), "5", "15"])
    try:
        for _ in range(8):
            with service("watch") as running:
                try:
                    running.process.wait(0.5 + chance.random())
                except subprocess.TimeoutExpired:
                    running.process.send_signal(signal.SIGKILL)
                    running.process.wait(10)
            assert_sound(catalog)
    finally:
        churn.kill()
        churn.wait(10)
    with service("watch"):
        wait_until(lambda: plotindex("status").returncode == 0)
        assert all_plots(catalog) == plots_by_hand(root)
        draw(root, "s0/project_a/after.png")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
    assert_sound(catalog)
