"""What the checks examine: the root, catalogue, indexer and state folder of some settings."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from plotindex.config import Settings
from plotindex.errors import CatalogError
from plotindex.ops.doctor.tree_survey import Survey, survey
from plotindex.storage import Catalog, Heartbeat, open_database, wal_bytes
from plotindex.system import ABSENT_ERRNOS
from plotindex.tree import Tree

LOCK_TIMEOUT = 2.0
"""Seconds to wait for a program that locks the database."""

Progress = Callable[[], AbstractContextManager[Callable[[int, int], None] | None]]
"""A context that shows progress; its function takes the sessions done and all sessions."""


@dataclass
class Context:
    """Made by `open_context`. What is costly is read once, on first use."""

    settings: Settings
    tree: Tree
    catalog: Catalog
    wal_bytes: int
    """Size of the database's write-ahead log before doctor opened it."""
    command: str
    """The shell command that repeats this run."""
    progress: Progress

    @cached_property
    def survey(self) -> Survey:
        """A survey of every folder, with progress.

        Raises:
            OSError: the root cannot be listed.
        """
        with self.progress() as progress:
            return survey(self.tree, progress)

    @cached_property
    def has_root(self) -> bool:
        """Whether the root exists, readable or not."""
        try:
            return stat.S_ISDIR(self.settings.root.stat().st_mode)
        except OSError as error:
            return error.errno not in ABSENT_ERRNOS

    @property
    def has_database(self) -> bool:
        """Whether the database file exists; True for a database server."""
        return self.catalog.database.exists()

    @cached_property
    def indexer(self) -> Heartbeat | None:
        """The last indexer's heartbeat; None if there is none, or the catalogue cannot be read."""
        try:
            return next(iter(self.catalog.heartbeats()), None)
        except (CatalogError, OSError):
            return None

    @cached_property
    def indexer_pid(self) -> int | None:
        """The indexer's process, while it runs on this machine."""
        beat = self.indexer
        is_here = beat and beat.state != "stopped" and beat.is_recent and beat.host == socket.gethostname()
        return beat.pid if beat and is_here else None

    @cached_property
    def user(self) -> int:
        """The user that runs plotindex: the indexer's, else the state folder's owner, else this one."""
        folder = self.settings.state_folder
        for place in [Path(f"/proc/{self.indexer_pid}"), folder] if self.indexer_pid else [folder]:
            with suppress(OSError):
                return place.stat().st_uid
        return os.geteuid()


@contextmanager
def open_context(
    settings: Settings, command: str = "plotindex doctor", progress: Progress = nullcontext
) -> Iterator[Context]:
    """The context of these settings. Creates nothing.

    Raises:
        SettingsError: `database` is not a database URL.
    """
    database = open_database(settings.catalog_location, LOCK_TIMEOUT, prefer_immutable=True)
    try:
        tree = Tree(settings.root, settings.layout)
        log = wal_bytes(database.file) if database.file else 0
        yield Context(settings, tree, Catalog(database), log, command, progress)
    finally:
        database.close()
