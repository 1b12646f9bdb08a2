"""Clients that wait for changes of an SQLite catalogue are woken by each commit, and by nothing while it is idle."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.commit_notifications import POLL_SECONDS
from plotindex.storage.listing import Listing
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.tree.tree import Tree
from tests.support.processes import draw, wait_until

LONG = 30.0
QUIET = 4 * POLL_SECONDS
WITHOUT_INOTIFY = """
import sys, time
from pathlib import Path
from plotindex.storage.sqlite.database import SqliteDatabase
Path("/proc/sys/user/max_inotify_instances").write_text("0")
database = SqliteDatabase(Path(sys.argv[1]))
started = time.monotonic()
for _ in range(10):
    assert database.wait_for_commit(database.notifications, 30.0), "look for yourself"
assert time.monotonic() - started < 15
"""


class Follower:
    """A process's own view of the catalogue, as a server has it."""

    def __init__(self, catalog: Catalog) -> None:
        self.database = SqliteDatabase(catalog.database.path)
        self.listing = Listing(self.database)

    def start(self) -> None:
        """Wait until commits are reported."""
        wait_until(self.is_quiet)

    def is_quiet(self) -> bool:
        return not self.database.wait_for_commit(self.database.notifications, QUIET)

    def is_woken(self, write: Callable[[], object]) -> bool:
        """Whether a wait that begins before a commit ends by it, once the commit can be read."""
        clock, seen = self.listing.clock(), self.database.notifications
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self._until_changed, clock, seen)
            write()
            return waiting.result(LONG)

    def _until_changed(self, clock: int, seen: int) -> bool:
        while self.database.wait_for_commit(seen, LONG / 2):
            seen = self.database.notifications
            if self.listing.clock() != clock:
                return True
        return False


@pytest.fixture
def follower(catalog: Catalog) -> Iterator[Follower]:
    follower = Follower(catalog)
    yield follower
    follower.database.close()


@pytest.fixture
def write(root: Path, tree: Tree, catalog: Catalog) -> Callable[[], None]:
    """Draw a plot and commit its row."""

    def draw_and_commit() -> None:
        reconcile(tree, catalog, [str(draw(root, f"s/project_a/{time.time_ns()}.png").relative_to(root))])

    return draw_and_commit


def test_each_commit_ends_a_wait_and_nothing_else_does(follower: Follower, write: Callable[[], None]) -> None:
    follower.start()
    assert all(follower.is_woken(write) for _ in range(50))
    wait_until(follower.is_quiet)
    with closing(sqlite3.connect(follower.database.path)) as reader:
        reader.execute("SELECT count(*) FROM plot").fetchone()
        (follower.database.path.parent / "tokens.json").touch()
        assert follower.is_quiet()


def test_a_commit_after_a_checkpoint_or_into_a_new_log_ends_a_wait(
    follower: Follower, write: Callable[[], None], catalog: Catalog
) -> None:
    follower.start()
    for mode in ("PASSIVE", "RESTART", "TRUNCATE"):
        with closing(sqlite3.connect(catalog.database.path, timeout=20)) as other:
            other.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        assert follower.is_woken(write), mode
    log = catalog.database.path.with_name("catalog.db-wal")
    for _ in range(3):
        for database in (catalog.database, follower.database):
            database.close()
        assert not log.exists(), "the last connection deletes it"
        follower.start()
        assert follower.is_woken(write)
        assert log.exists()


def test_waiters_of_several_processes_are_woken_by_one_commit(catalog: Catalog, write: Callable[[], None]) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom plotindex.storage.sqlite.database import SqliteDatabase\n"
        "database = SqliteDatabase(Path(sys.argv[1]))\n"
        "while database.wait_for_commit(database.notifications, 0.2): pass\n"
        "seen = database.notifications\nprint('ready', flush=True)\nprint(database.wait_for_commit(seen, 30.0))\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(catalog.database.path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    write()
    assert [process.communicate(timeout=LONG)[0] for process in processes] == ["True\n"] * 3


def test_one_thread_and_one_watch_serve_all_waiters_of_a_process(follower: Follower, write: Callable[[], None]) -> None:
    follower.start()
    seen = follower.database.notifications
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(follower.database.wait_for_commit, seen, LONG) for _ in range(8)]
        assert sum(thread.name == "plotindex news" for thread in threading.enumerate()) == 1
        assert len(inotify_descriptors()) == 1
        write()
        assert all(one.result(LONG) for one in waiting)
    follower.database.close()
    assert inotify_descriptors() == []


def test_commits_in_a_folder_that_replaced_the_old_one_end_a_wait(
    follower: Follower, catalog: Catalog, tree: Tree, root: Path, write: Callable[[], None]
) -> None:
    follower.start()
    folder = catalog.database.path.parent
    for database in (catalog.database, follower.database):
        database.close()
    # Started again before the folder is replaced: its watch is of the old folder.
    follower.start()
    folder.rename(folder.with_name("old"))
    shutil.copytree(folder.with_name("old"), folder)
    wait_until(lambda: follower.database.wait_for_commit(follower.database.notifications, QUIET))
    wait_until(follower.is_quiet)
    assert follower.is_woken(write)


def test_a_forked_child_waits_by_a_watch_of_its_own(follower: Follower, write: Callable[[], None]) -> None:
    follower.start()
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        # Nothing of the test may run here.
        try:
            is_closed = inotify_descriptors() == []
            while follower.database.wait_for_commit(follower.database.notifications, QUIET):
                pass
            seen = follower.database.notifications
            os.write(told, b"x")
            is_woken = follower.database.wait_for_commit(seen, LONG)
            os._exit(0 if is_closed and is_woken else 1)
        finally:
            os._exit(2)
    assert os.read(ready, 1) == b"x"
    assert follower.is_woken(write)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for fd in (ready, told):
        os.close(fd)


def test_without_inotify_a_wait_returns_to_look(catalog: Catalog) -> None:
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-W", "error", "-c", WITHOUT_INOTIFY]
    result = subprocess.run([*command, str(catalog.database.path)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_on_a_file_system_of_other_hosts_a_wait_returns_to_look(
    follower: Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("21 1 8:1 / / rw,relatime - nfs4 host:/ rw\n")
    monkeypatch.setattr("plotindex.system.mounts.MOUNTINFO", mounts)
    assert [follower.database.wait_for_commit(follower.database.notifications, LONG) for _ in range(5)] == [True] * 5
    assert inotify_descriptors() == []


def inotify_descriptors() -> list[str]:
    """The inotify instances of this process."""
    folder = Path("/proc/self/fd")
    links = [str(path.readlink()) for path in folder.iterdir() if path.is_symlink()]
    return [link for link in links if "inotify" in link]
