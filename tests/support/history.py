"""A root with its history, in this process: draw, index, let time pass, keep."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import blake2b
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from unittest.mock import patch

from sqlalchemy import text

from plotindex.config import load_settings
from plotindex.history.access import History
from plotindex.history.contents import ContentFolder
from plotindex.history.keeper import Keeper, Limits
from plotindex.history.retention import KeptVersions
from plotindex.history.store import HistoryStore
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.database import Database
from plotindex.storage.factory import open_database
from plotindex.storage.history.rows import REPEATED_BYTES, disk_bytes
from plotindex.tree.tree import Tree
from tests.support.processes import children_running, clean_environment, draw

_time_ns = time.time_ns
RULE = KeptVersions(50, 90)


class HistorySite:
    """A root, its catalogue and its history."""

    def __init__(self, root: Path, catalog: Catalog, database: Database, folder: Path, limits: Limits) -> None:
        self.root, self.catalog, self.limits = root, catalog, limits
        self.tree = Tree(root)
        self.store = HistoryStore(database, ContentFolder(folder))
        self.history = History(self.store, self.tree)
        self.later_ns = 0
        """By how much the clock is ahead."""
        self.start()

    def start(self) -> Self:
        """Begin as a new process does."""
        self.keeper = Keeper(self.store, self.catalog, self.tree, self.limits)
        self.keeper.prepare()
        return self

    def draw(self, path: str, content: bytes | str) -> Path:
        return draw(self.root, path, content.encode() if isinstance(content, str) else content)

    def index(self) -> None:
        reconcile(self.tree, self.catalog, [""])

    def keep(self, seconds: float = 3) -> None:
        """Index; keep all that has stood for some seconds from now."""
        self.index()
        self.keep_without_indexing(seconds)

    def keep_without_indexing(self, seconds: float = 3, steps: int | None = None) -> None:
        """Let some seconds pass; take so many steps, or all."""
        self.later_ns += int(seconds * 1e9)
        with patch.object(time, "time_ns", lambda: _time_ns() + self.later_ns):
            for _ in count() if steps is None else range(steps):
                if not self.keeper.step():
                    break

    def versions(self, session: str, filename: str, *, is_limited: bool = False) -> list[bytes]:
        """The bytes of each version of a key that is kept, the newest first."""
        page = self.history.versions(session, filename, None, 1000, is_limited=is_limited)
        return [self.read(session, filename, kept.plot.version, is_limited=is_limited) for kept in page.versions]

    def read(self, session: str, filename: str, version: str, *, is_limited: bool = False) -> bytes:
        opened = self.history.open(session, filename, version, is_limited=is_limited)
        assert opened is not None
        with os.fdopen(opened.fd, "rb") as file:
            return file.read()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.store.database.reading() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def check(self) -> None:
        """Assert that rows, bytes and sums agree, and that the bound is kept."""
        folder = self.store.folder.path
        stored = {file.name: file for file in folder.iterdir() if len(file.name) == 32}
        others = {file.name for file in folder.iterdir()} - stored.keys()
        assert others <= {"history.id", "writing.lock"}
        for name, file in stored.items():
            assert blake2b(file.read_bytes(), digest_size=16).hexdigest() == name
        rows = self.rows("SELECT session_id, digest, size, copy_id FROM history_version")
        needed = {(row[0], bytes(row[1]).hex()): row[2] for row in rows}
        assert {digest for _, digest in needed} == stored.keys()
        assert all(stored[digest].stat().st_size == size for (_, digest), size in needed.items())
        contents = self.rows("SELECT session_id, digest, versions FROM history_content")
        counted = [(row[0], bytes(row[1]).hex()) for row in rows]
        assert {(row[0], bytes(row[1]).hex()): row[2] for row in contents} == {
            key: counted.count(key) for key in counted
        }
        sums = {row[0]: row[1] for row in self.rows("SELECT id, bytes FROM history_session")}
        for session_id, total in sums.items():
            own = [disk_bytes(size) for (owner, _), size in needed.items() if owner == session_id]
            repeated = sum(row[0] == session_id for row in rows) - len(own)
            assert total == sum(own) + repeated * REPEATED_BYTES
        assert sum(total for total in sums.values()) <= self.limits.bytes
        assert {row[3] for row in rows} <= {row[0] for row in self.rows("SELECT id FROM history_copy")}


def keeper_of(indexer: int) -> int | None:
    """The process that keeps the history for an indexer."""
    return next(iter(children_running(indexer, "plotindex.history.process")), None)


@contextmanager
def history_site(
    catalog: Catalog, database: Database, *, size: int = 1 << 30, rule: KeptVersions = RULE
) -> Iterator[HistorySite]:
    """A site with these databases, both migrated."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "plots").mkdir()
        yield HistorySite(folder / "plots", catalog, database, folder / "history", Limits(size, rule))


@contextmanager
def history_before_start(folder: Path) -> Iterator[HistorySite]:
    """The history of `folder`/plots, which `run_gallery` serves afterwards: here no test waits for versions to age."""
    (folder / "plots").mkdir()
    settings = load_settings({"root": str(folder / "plots")}, clean_environment(folder))
    settings.make_state_folder()
    store = HistoryStore.from_settings(settings)
    assert store is not None
    with closing(open_database(settings.catalog_location)) as database, closing(store.database):
        database.migrate()
        catalog = Catalog(database)
        catalog.record_root(str(settings.root), settings.layout, 1)
        yield HistorySite(settings.root, catalog, store.database, store.folder.path, Limits.from_settings(settings))
