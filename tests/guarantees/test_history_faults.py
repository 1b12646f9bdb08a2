"""Each write of the history may fail, those of its database too: rows and bytes agree, and the next try keeps."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import pytest

from plotindex.errors import PlotIndexError
from plotindex.history.keeper import Limits
from plotindex.storage.catalog import Catalog
from plotindex.storage.factory import open_database
from plotindex.storage.schema import HISTORY
from plotindex.storage.sqlite.database import SqliteDatabase
from tests.support.history import RULE, HistorySite
from tests.support.namespaces import small_disk_at
from tests.support.other_users import without_privileges
from tests.support.postgres import NewDatabase

PAGE = 4096
PLOT_BYTES = 2 * PAGE
PLOTS = 3
"""Drawn for each fault."""


@contextmanager
def full_disk(disk: Path, pages: int) -> Iterator[None]:
    """Leave so many pages of a disk (ENOSPC)."""
    filling = disk / "filling"
    with filling.open("wb") as file:
        status = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, (status.f_bavail - pages) * status.f_frsize)
    try:
        yield
    finally:
        filling.unlink()


@contextmanager
def short_files(_disk: Path, pages: int) -> Iterator[None]:
    """Let no file grow beyond so many pages; for SQLite an error like that of a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (pages * PAGE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", [full_disk, short_files])
def test_wherever_writing_fails_rows_and_bytes_agree_and_the_next_try_keeps(
    tmp_path: Path, root: Path, new_database: NewDatabase, fault: Callable[[Path, int], AbstractContextManager[None]]
) -> None:
    with small_disk_at(tmp_path / "disk", "size=8m") as disk, new_database("sqlite") as database:
        history = open_database(disk / "history.db", schema=HISTORY)
        assert isinstance(history, SqliteDatabase)
        site = HistorySite(root, Catalog(database), history, disk / "history", Limits(1 << 30, RULE))
        site.catalog.record_root(str(root), site.tree.layout, 1)
        site.keep()
        for pages in count():
            site.later_ns = 0
            drawn = {f"{pages}-{number}.png": os.urandom(PLOT_BYTES) for number in range(PLOTS)}
            for name, content in drawn.items():
                site.draw(f"s/project_a/{name}", content)
            site.keep(seconds=0)
            history.truncate_log()
            has_failed = False
            with fault(disk, pages):
                try:
                    site.keep_without_indexing()
                except (OSError, PlotIndexError):
                    has_failed = True
            site.check()
            site.keep()
            site.check()
            assert {name: site.versions("s", name) for name in drawn} == {name: [c] for name, c in drawn.items()}
            if not has_failed:
                break
        # The contents, and the pages of the log.
        assert pages > PLOT_BYTES // PAGE + 5
        history.close()


@pytest.mark.parametrize("is_readable", [False, True])
def test_a_file_that_claims_to_need_room_costs_no_other_session_its_versions(
    tmp_path: Path, root: Path, new_database: NewDatabase, *, is_readable: bool
) -> None:
    with small_disk_at(tmp_path / "disk", "size=32m") as disk, new_database("sqlite") as database:
        history = open_database(disk / "history.db", schema=HISTORY)
        site = HistorySite(root, Catalog(database), history, disk / "history", Limits(1 << 30, RULE))
        site.catalog.record_root(str(root), site.tree.layout, 1)
        theirs = {f"{number}.png": os.urandom(2 << 20) for number in range(4)}
        for name, content in theirs.items():
            site.draw(f"theirs/project_a/{name}", content)
        site.keep()
        bomb = site.draw("mine/project_a/bomb.png", b"bomb")
        os.truncate(bomb, 24 << 20)
        site.draw("mine/project_a/small.png", b"small")
        site.index()
        with without_privileges():
            bomb.chmod(0o644 if is_readable else 0)
            for seconds in (3, 60, 3600):
                site.keep_without_indexing(seconds)
        assert {name: site.versions("theirs", name) for name in theirs} == {n: [c] for n, c in theirs.items()}
        assert site.versions("mine", "small.png") == [b"small"]
        assert site.versions("mine", "bomb.png") == []
        site.check()
        history.close()


def test_many_little_plots_take_no_other_session_its_versions_on_a_disk_with_few_inodes(
    tmp_path: Path, root: Path, new_database: NewDatabase
) -> None:
    with small_disk_at(tmp_path / "disk", "size=32m,nr_inodes=300") as disk, new_database("sqlite") as database:
        history = open_database(disk / "history.db", schema=HISTORY)
        site = HistorySite(root, Catalog(database), history, disk / "history", Limits(1 << 30, RULE))
        site.catalog.record_root(str(root), site.tree.layout, 1)
        theirs = {f"{number}.png": os.urandom(1 << 20) for number in range(4)}
        for name, content in theirs.items():
            site.draw(f"theirs/project_a/{name}", content)
        site.keep()
        for number in range(600):
            site.draw(f"mine/project_a/{number}.png", str(number))
        site.keep()
        assert {name: site.versions("theirs", name) for name in theirs} == {n: [c] for n, c in theirs.items()}
        assert len(site.rows("SELECT 1 FROM history_version")) > 200
        assert os.statvfs(disk).f_favail >= 300 // 20
        site.check()
        history.close()
