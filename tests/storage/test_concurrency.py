"""Concurrent writers converge without coordination."""

import subprocess
import sys
from pathlib import Path

from plotindex.index.reconcile import reconcile
from plotindex.index.verify import differences
from plotindex.storage.catalog import Catalog
from plotindex.tree.tree import Tree
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import all_plots

RECONCILER = """
import random, sys, time
from pathlib import Path
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.index.reconcile import Options, reconcile
from plotindex.tree.tree import Tree
root, database, seed, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
catalog, tree, chance = Catalog(SqliteDatabase(database)), Tree(root), random.Random(seed)
scopes = ["", "s0", "s1", "s2", "s0/project_a", "s1/project_b", "s0/project_a/sub", "s1/project_c/0.png"]
deadline = time.monotonic() + seconds
while time.monotonic() < deadline:
    reconcile(tree, catalog, chance.sample(scopes, 2), Options(rewrite=chance.random() < 0.1))
"""


def test_concurrent_reconciles_of_overlapping_scopes_converge(tree: Tree, catalog: Catalog, root: Path) -> None:
    # A session that stays, so that the root is never taken for a lost one.
    (root / "kept/project_a").mkdir(parents=True)
    (root / "kept/project_a/x.png").write_bytes(b"x")
    reconcile(tree, catalog, [""])
    python = [sys.executable, "-W", "error"]
    arguments = [str(root), str(catalog.database.path)]
    processes = [
        subprocess.Popen([*python, "-c", RECONCILER, *arguments, "1", "3"]),
        subprocess.Popen([*python, "-c", RECONCILER, *arguments, "11", "3"]),
        subprocess.Popen([*python, "-m", "tests.support.churn", str(root), "1", "2"]),
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    last = {"", *tree.sessions(), *catalog.sessions()}
    reconcile(tree, catalog, last)
    assert reconcile(tree, catalog, [""]).differences == 0
    assert all_plots(catalog) == plots_by_hand(root)
    assert list(differences(tree, catalog)) == []
