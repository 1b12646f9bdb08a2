"""What is examined: the root, the catalogue, the indexer and the state folder of some settings."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from plotindex.config import Settings
from plotindex.errors import CatalogError
from plotindex.ops.doctor.tree_survey import Survey, survey
from plotindex.storage import Catalog, Heartbeat, open_database, wal_bytes
from plotindex.tree import Tree

PATIENCE = 2.0
"""Seconds to wait for a program that holds the database."""

Progress = Callable[[], AbstractContextManager[Callable[[int, int], None] | None]]
"""A context in which the number of sessions seen, and of all sessions, is shown."""


@dataclass
class Subject:
    """The parts; the costly ones are looked at once, when the first check asks. Made by `opened`."""

    settings: Settings
    tree: Tree
    catalog: Catalog
    log_bytes: int
    """How long the database's write-ahead log was before anything here opened it."""
    command: str
    """What a shell is told to ask the same once more."""
    progress: Progress

    @cached_property
    def survey(self) -> Survey:
        """What a look at every folder saw; it shows how far it is.

        Raises:
            OSError: the root cannot be listed.
        """
        with self.progress() as progress:
            return survey(self.tree, progress)

    @property
    def is_begun(self) -> bool:
        """Whether there is a database; what a server has, it has to be asked."""
        file = self.catalog.database.file
        return file is None or file.exists()

    @cached_property
    def indexer(self) -> Heartbeat | None:
        """What the last indexer said of itself; None where there was none, or the catalogue does not say."""
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
        """Who runs plotindex here: the indexer's user, else the state folder's owner, else whoever asks."""
        folder = self.settings.state_folder
        for place in [Path(f"/proc/{self.indexer_pid}"), folder] if self.indexer_pid else [folder]:
            with suppress(OSError):
                return place.stat().st_uid
        return os.geteuid()


@contextmanager
def opened(
    settings: Settings, command: str = "plotindex doctor", progress: Progress = nullcontext
) -> Iterator[Subject]:
    """What these settings name, as `command` asks for it. Nothing is made that is not there.

    Raises:
        SettingsError: `database` is no URL of a database.
    """
    database = open_database(settings.catalog_location, PATIENCE, prefer_immutable=True)
    try:
        tree = Tree(settings.root, settings.layout)
        log = wal_bytes(database.file) if database.file else 0
        yield Subject(settings, tree, Catalog(database), log, command, progress)
    finally:
        database.close()
