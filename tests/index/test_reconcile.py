"""Reconcile: checks inside the transaction, lost roots, transactions, and fairness between writers."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from plotindex.errors import LockTimeoutError, RootLostError
from plotindex.index import batch_writer, diff
from plotindex.index.reconcile import reconcile
from plotindex.index.report import Options
from plotindex.index.verify import differences
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.storage.writer import Writer
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import SETTLE_NS, PlotKey
from plotindex.tree.tree import Tree, TreeReader
from tests.support.postgres import on_both_engines
from tests.support.processes import all_plots, draw, wait_until

# The package's API has a function of that name.
module = import_module("plotindex.index.reconcile")


@on_both_engines
def test_a_reconcile_without_differences_writes_nothing(tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    assert reconcile(tree, catalog, [""]).added == 1
    header, plots = catalog.header(), all_plots(catalog)
    report = reconcile(tree, catalog, ["", "s", "s/project_a/x.png", "gone"])
    assert (report.plots, report.differences) == (1, 0)
    assert (catalog.header(), all_plots(catalog)) == (header, plots)


def test_clock_removal_and_session_are_written_in_the_commit_of_the_plots(
    tree: Tree, catalog: Catalog, root: Path
) -> None:
    draw(root, "s/project_a/x.png", mtime_ns=10)
    draw(root, "s/project_a/y.png", mtime_ns=20)
    clock = catalog.header().clock
    reconcile(tree, catalog, ["s"])
    assert catalog.header().clock == clock + 1
    assert catalog.session_row("s") == ("s", 2, 20)
    (root / "s/project_a/y.png").unlink()
    reconcile(tree, catalog, ["s/project_a/y.png"])
    assert catalog.header().clock == clock + 2
    assert catalog.session_row("s") == ("s", 1, 10)
    with sqlite3.connect(catalog.database.path) as connection:
        assert connection.execute("SELECT * FROM removal").fetchall() == [(clock + 2, "s", "y.png", "project_a")]
        assert connection.execute("SELECT filename, clock FROM plot").fetchall() == [("x.png", clock + 1)]
    connection.close()
    shutil.rmtree(root / "s")
    reconcile(tree, catalog, ["s"])
    assert catalog.session_row("s") is None


@on_both_engines
def test_a_session_is_complete_after_many_transactions(
    tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CHANGES", 7)
    monkeypatch.setattr(diff, "PAGE_ROWS", 5)
    monkeypatch.setattr(batch_writer, "ROWS_PER_CHANGE", 1)
    for number in range(60):
        draw(root, f"s/project_{number % 4}/{number % 7}/{number}.png")
    assert reconcile(tree, catalog, [""]).added == 60
    assert not list(differences(tree, catalog))
    shutil.rmtree(root / "s/project_1")
    for number in range(0, 60, 3):
        draw(root, f"s/project_{number % 4}/{number % 7}/{number}.png", b"again")
    assert reconcile(tree, catalog, [""]).differences > 0
    assert not list(differences(tree, catalog))
    assert reconcile(tree, catalog, [""], Options(rewrite=True)).differences == 0
    assert not list(differences(tree, catalog))


@on_both_engines
def test_files_are_checked_again_inside_the_transaction(
    tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree changes between scan and transaction: the later state is written."""
    draw(root, "s/project_a/gone.png")
    draw(root, "s/project_a/changed.png", b"short")
    writing = Catalog.writing

    def change_then_write(self: Catalog, *given: Any) -> object:
        (root / "s/project_a/gone.png").unlink(missing_ok=True)
        draw(root, "s/project_a/changed.png", b"much longer")
        return writing(self, *given)

    monkeypatch.setattr(Catalog, "writing", change_then_write)
    reconcile(tree, catalog, ["s"])
    assert {(plot.filename, plot.size) for plot in all_plots(catalog)} == {("changed.png", 11)}


def test_new_files_of_unchanged_folders_are_written_without_another_stat(
    tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unchanged folder stamp proves that all its names still exist."""
    for name in ("a/still", "a/sub/still", "b/gone", "b/still", "c/below/still", "d/still", "e/still"):
        draw(root, f"s/project_{name}.png")
    newest = max(folder.stat().st_ctime_ns for folder in root.rglob("*"))
    wait_until(lambda: time.time_ns() - newest > SETTLE_NS)
    writing = Catalog.writing
    looked: list[str] = []

    def change_then_write(self: Catalog, *given: Any) -> object:
        if not looked:
            (root / "s/project_b/gone.png").unlink()
            (root / "s/project_c/below").rename(root / "s/project_c/renamed")
            (root / "s/project_d").rename(root / "project_d")
            (root / "s/project_d").symlink_to(root / "project_d")
            monkeypatch.setattr(TreeReader, "stat", note_then_look)
        return writing(self, *given)

    def note_then_look(self: TreeReader, session: str, project: str, filename: str) -> os.stat_result:
        looked.append(f"{project}/{filename}")
        return status(self, session, project, filename)

    status = TreeReader.stat
    monkeypatch.setattr(Catalog, "writing", change_then_write)
    assert reconcile(tree, catalog, ["s"]).added == 4
    found = {f"{plot.project}/{plot.filename}" for plot in all_plots(catalog)}
    assert found == {f"project_{name}/still.png" for name in ("a", "a/sub", "b", "e")}
    # Nor need those be looked at whose folder is gone.
    again = {f"project_{name}.png" for name in ("b/gone", "b/still")}
    # Without reliable folder times each file is checked.
    assert set(looked) == again or tree.reliable_ctime_device() is None


@on_both_engines
def test_a_lost_root_deletes_nothing_until_it_is_back(tree: Tree, catalog: Catalog, root: Path, tmp_path: Path) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    before = all_plots(catalog), catalog.header()
    root.rename(tmp_path / "away")
    for scope in ("", "s", "s/project_a/x.png"):
        with pytest.raises(RootLostError, match="mount it again"):
            reconcile(tree, catalog, [scope])
    root.mkdir()
    draw(root, "stranger/project_a/x.png")
    for scope in ("", "s", "s/project_a", "stranger"):
        for options in (Options(), Options(rewrite=True)):
            with pytest.raises(RootLostError, match="shares no session"):
                reconcile(tree, catalog, [scope], options)
    assert (all_plots(catalog), catalog.header()) == before
    shutil.rmtree(root)
    (tmp_path / "away").rename(root)
    (root / "s/project_a/x.png").unlink()
    assert reconcile(tree, catalog, [""]).removed == 1


@on_both_engines
def test_an_emptied_root_removes_all_plots(tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    shutil.rmtree(root / "s")
    assert reconcile(tree, catalog, [""]).removed == 1


def test_a_root_restored_from_a_copy_is_accepted_and_its_identity_recorded(
    tree: Tree, catalog: Catalog, root: Path, tmp_path: Path
) -> None:
    draw(root, "s/project_a/x.png")
    draw(root, "t/project_a/x.png")
    reconcile(tree, catalog, [""])
    root.rename(tmp_path / "away")
    shutil.copytree(tmp_path / "away/s", root / "s")
    assert reconcile(tree, catalog, [""]).removed == 1
    assert catalog.header().identity == tree.identity()


def test_allow_empty_accepts_an_empty_root(tree: Tree, catalog: Catalog, root: Path, tmp_path: Path) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    root.rename(tmp_path / "away")
    root.mkdir()
    assert reconcile(tree, catalog, [""], Options(allow_empty=True)).removed == 1
    assert catalog.header().identity == tree.identity()


UNREADABLE = """
import os, sys
from pathlib import Path
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.index.report import Options
from plotindex.index.reconcile import reconcile
from plotindex.tree.tree import Tree
root, database = Path(sys.argv[1]), Path(sys.argv[2])
catalog = Catalog(SqliteDatabase(database))
catalog.counts()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
else:
    (root / "s/project_b").chmod(0)
for options in (Options(), Options(rewrite=True)):
    for scopes in ([""], ["s"], ["s/project_b"], ["s/project_b/x.png"]):
        report = reconcile(Tree(root), catalog, scopes, options)
        assert report.unreadable, scopes
        assert not report.removed, scopes
"""


def test_rows_of_unreadable_paths_are_kept_and_reported(
    tree: Tree, catalog: Catalog, root: Path, tmp_path: Path
) -> None:
    draw(root, "s/project_a/x.png")
    draw(root, "s/project_b/x.png")
    draw(root, "s/project_b/sub/x.png")
    reconcile(tree, catalog, [""])
    before = all_plots(catalog)
    (root / "s/project_b").chmod(0o700)
    for folder in (root, *root.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    state = catalog.database.path.parent
    catalog.database.close()
    for place in (state, state.parent, *state.iterdir()):
        place.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", UNREADABLE, str(root), str(catalog.database.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all_plots(catalog) == before


@on_both_engines
def test_rows_of_another_grammar_are_removed_by_the_next_full_scan(tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    draw(root, "s/project_a/x.svg")
    draw(root, "s/run_a/x.svg")
    reconcile(tree, catalog, [""])
    other = Tree(root, Layout("run_*", frozenset({".svg"})))
    assert not catalog.header().matches(other.layout)
    reconcile(other, catalog, [""])
    assert {plot.path for plot in all_plots(catalog)} == {"s/run_a/x.svg"}
    assert catalog.header().matches(other.layout)


@on_both_engines
def test_waiting_for_the_write_lock_times_out(tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    with catalog.writing(sessions=["s"]), pytest.raises(LockTimeoutError):
        reconcile(tree, catalog, ["s"], Options(timeout=0.05))
    assert not all_plots(catalog)


def test_waiting_for_a_foreign_lock_on_the_database_times_out(tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    with sqlite3.connect(catalog.database.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(LockTimeoutError):
            reconcile(tree, catalog, ["s"], Options(timeout=0.05))
        assert time.monotonic() - began < 10
        other.execute("ROLLBACK")
    other.close()
    assert reconcile(tree, catalog, ["s"]).added == 1


def test_writers_take_turns(catalog: Catalog) -> None:
    """Of two writers that never pause, neither waits for more than a few transactions of the other."""
    turns: list[str] = []
    stop = threading.Event()

    def write(name: str) -> None:
        own = SqliteDatabase(catalog.database.path)
        while not stop.is_set():
            with own.writing():
                turns.append(name)
                time.sleep(0.001)
        own.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while len(turns) < 400 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    both = turns[turns.index("b" if turns[0] == "a" else "a") : -5]
    longest = max(len(run) for name in "ab" for run in "".join(both).split(name))
    # A thread that was not scheduled did not queue; a starving one would wait for hundreds.
    assert longest <= 10, "".join(turns)


def test_a_writer_does_not_block_readers(tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    with catalog.writing() as writer:
        writer.connection.driver.execute("DELETE FROM plot")
        assert catalog.current(PlotKey("s", "x.png")) is not None
        writer.connection.driver.execute("ROLLBACK")
        writer.connection.driver.execute("BEGIN")


@on_both_engines
def test_removals_are_trimmed_and_the_trimmed_clock_recorded(tree: Tree, catalog: Catalog, root: Path) -> None:
    for number in range(5):
        draw(root, f"s/project_a/{number}.png")
    reconcile(tree, catalog, [""])
    for number in range(5):
        (root / f"s/project_a/{number}.png").unlink()
        reconcile(tree, catalog, ["s"])
    clock = catalog.header().clock
    with catalog.writing() as writer:
        writer.trim_removals(keep=2)
    assert catalog.header().trimmed == clock - 2
    assert removals(catalog) == [clock - 1, clock]
    reconcile(tree, catalog, [""], Options(rewrite=True))
    assert catalog.header().trimmed == catalog.header().clock > clock
    assert removals(catalog) == []


def removals(catalog: Catalog) -> list[int]:
    with catalog.database.reading() as connection:
        return [clock for (clock,) in connection.driver.execute("SELECT clock FROM removal ORDER BY clock")]


@on_both_engines
def test_a_rewrite_corrects_wrong_rows_and_counts(tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png", mtime_ns=5)
    draw(root, "t/project_a/x.png", mtime_ns=5)
    reconcile(tree, catalog, [""])
    with catalog.writing() as writer:
        spoil(writer)
    assert {difference.path for difference in differences(tree, catalog)} == {"s", "t", "t/project_a/x.png", "ghost"}
    reconcile(tree, catalog, [""], Options(rewrite=True))
    assert list(differences(tree, catalog)) == []


def spoil(writer: Writer) -> None:
    writer.connection.driver.execute("UPDATE session SET plots = 17")
    writer.connection.driver.execute("UPDATE plot SET size = 17 WHERE session = 't'")
    writer.connection.driver.execute("INSERT INTO session VALUES ('ghost', 1, 1, 1)")
